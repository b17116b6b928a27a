//! tmp
use super::*;
use crate::store::Store;
pub fn csv_header(_: &std::path::Path) -> std::io::Result<Vec<u8>> {
    Ok(vec![])
}
pub struct FileSettings {
    pub streams: std::collections::BTreeMap<String, crate::config::StreamConfig>,
    pub group: String,
    pub budget: outlet::Budget,
}
pub fn start(
    _: FileSettings,
    _: Arc<dyn Store>,
) -> Result<(Arc<dyn Source>, tokio::sync::mpsc::Receiver<SourceEvent>), SourceError> {
    Err(SourceError::Fatal("no".into()))
}
pub fn observe(_: FileSettings, _: Arc<dyn Store>) -> Result<Arc<dyn Source>, SourceError> {
    Err(SourceError::Fatal("no".into()))
}
pub struct FileOutbox;
impl FileOutbox {
    pub fn new(_: &std::path::Path) -> Self {
        FileOutbox
    }
}
#[async_trait]
impl Outbox for FileOutbox {
    async fn send(&self, _: &[Outgoing]) -> Result<(), SourceError> {
        Ok(())
    }
}
