// The node of the examples in the documentation of `client`, which include this file; no part of the crate.

/// A node on a free port, which ends when this is dropped.
struct Node {
    address: String,
    handle: gaffer::manager::Handle,
    thread: Option<std::thread::JoinHandle<gaffer::Result<()>>>,
}

impl Node {
    fn start() -> gaffer::Result<Self> {
        use gaffer::server::{Config, HttpServer, api};
        let mut server = HttpServer::bind(Config::default().endpoint("127.0.0.1:0".parse()?))?;
        server.routes(api::ROUTES)?;
        let address = format!("http://{}", server.local_addrs()[0]);
        let mut manager = gaffer::Manager::new()?;
        manager.add_app(server);
        let handle = manager.handle();
        let thread = Some(std::thread::spawn(move || manager.run()));
        Ok(Self { address, handle, thread })
    }

    fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
