/**
 * Parts in memory, as a cache that Streams has flushed before it commits positions: so a position is never committed before
 * the parts of what lies below it have been sent. The interface of caches is an internal one; there is no public way.
 */
package etiage.peers.streams;

import etiage.peers.Parts;
import java.util.Map;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

final class PartStore implements StateStore, CachedStateStore<Object, Object> {
    static final String NAME = "parts";

    final Parts parts = new Parts();
    private Runnable flusher = () -> {};
    private boolean open;

    void onFlush(Runnable action) {
        flusher = action;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        context.register(root, (key, value) -> {});
        open = true;
    }

    @Override
    public void flush() {
        // Everything that matters is in flushCache.
    }

    @Override
    public void flushCache() {
        flusher.run();
    }

    @Override
    public void clearCache() {
        parts.drain((region, hourMs, sum) -> {});
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<Object, Object> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public void close() {
        open = false;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    /** Of a store without a changelog: it is empty at every commit. */
    static final class Builder implements StoreBuilder<PartStore> {
        @Override
        public StoreBuilder<PartStore> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<PartStore> withCachingDisabled() {
            return this;
        }

        @Override
        public StoreBuilder<PartStore> withLoggingEnabled(Map<String, String> settings) {
            return this;
        }

        @Override
        public StoreBuilder<PartStore> withLoggingDisabled() {
            return this;
        }

        @Override
        public PartStore build() {
            return new PartStore();
        }

        @Override
        public Map<String, String> logConfig() {
            return Map.of();
        }

        @Override
        public boolean loggingEnabled() {
            return false;
        }

        @Override
        public String name() {
            return NAME;
        }
    }
}
