//! SIGTERM and Ctrl-C: the first asks to stop, the second stops at once.

use etiage::run::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The conventional exit code after SIGINT.
pub const INTERRUPTED: i32 = 130;

/// A channel that turns to `Gracefully` at the first signal.
pub fn stop_on_signal() -> std::io::Result<watch::Receiver<Stop>> {
    let (tell, stop) = watch::channel(Stop::Running);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                eprintln!("\netiage: stopping at once; what is not committed is read again next time");
                std::process::exit(INTERRUPTED);
            }
            asked = true;
            tracing::info!("stopping: writing and committing what is folded (a second signal stops at once)");
            // The engine may have ended by itself.
            let _ = tell.send(Stop::Gracefully);
        }
    });
    Ok(stop)
}
