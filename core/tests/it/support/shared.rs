use std::sync::OnceLock;

use super::{engine::Engine, image, registry::Registry};

/// Serves HTTP on port 80 until it is told to stop; says a word first.
pub const WEB: &str = "echo hello from $WORD; mkdir -p /www; echo $WORD > /www/index.html; \
    trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait";

/// Does nothing until it is told to stop.
const IDLE: &str = "trap 'exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done";

/// An engine and a registry for all tests that do not stop them, since an
/// engine takes seconds to start. Each test gives its containers names of its own.
pub struct Shared {
    pub engine: Engine,
    pub registry: Registry,
    /// An image in the registry that serves HTTP.
    pub web: String,
}

impl Shared {
    pub fn get() -> &'static Self {
        // Never dropped: the engine's script ends it when this process has gone.
        static SHARED: OnceLock<Shared> = OnceLock::new();
        SHARED.get_or_init(|| {
            let engine = Engine::start();
            let registry = Registry::start();
            let web = registry.push_busybox(&engine, "web:1", WEB);
            import_idle(&engine);
            Self {
                engine,
                registry,
                web,
            }
        })
    }
}

/// Makes the image `idle:1`.
pub fn import_idle(engine: &Engine) {
    image::busybox(engine, "idle:1", IDLE);
}
