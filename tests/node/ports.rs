//! `gaffer load`: the ports of several applications on one node.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use crate::node::Node;
use crate::support::Room;

impl Node {
    /// Loads what is in a folder; what it says on standard error.
    #[track_caller]
    fn loads(&self, line: &str) -> String {
        self.run(&format!("load {line} --nostart -q")).expect(0).err
    }

    #[track_caller]
    fn port(&self, job: &str) -> Option<u64> {
        self.server().job(job).and_then(|job| job.config()).expect("it is loaded")["port"].as_u64()
    }
}

#[test]
fn each_application_has_its_own_and_keeps_them() {
    let many: String = (0..11).map(|n| format!("t{n}: sleep 1000\n")).collect();
    let room = Room::empty()
        .file("shop/Procfile", "web: sleep 1000\nworker: sleep 1000\n")
        .file("blog/Procfile", "web: sleep 1000\n")
        .file("wiki/Procfile", "web: sleep 1000\n")
        .file("many/Procfile", &many)
        .file("own/Procfile", "web: sleep 1000\nworker: sleep 1000\n")
        .file("own/.env", "PORT=6050\n");
    let node = Node::beside(room);
    assert_eq!(node.loads("-d shop"), "");
    let moved = |app: &str, to: u16, other: &str| {
        format!(
            "gaffer: '{app}' gets the ports from {to} on, as {other} has those from 5000 on; -p or PORT in .env says others\n"
        )
    };
    assert_eq!(node.loads("-d blog"), moved("blog", 6000, "'shop.web'"));
    assert_eq!(node.loads("-d many"), moved("many", 7000, "'shop.web'"));
    assert_eq!(node.loads("-d wiki"), moved("wiki", 9000, "'shop.web'"), "eleven types have more than a thousand");
    assert_eq!(
        ["shop.worker", "blog.web", "many.t10", "wiki.web"].map(|job| node.port(job)),
        [5100, 6000, 8000, 9000].map(Some)
    );

    // As long as the node has something of it, also if the Procfile has changed, or the application in the way is gone.
    node.run("unload --app shop --no-input").expect(0);
    std::fs::write(node.room.path("blog/Procfile"), "web: sleep 1001\nclock: sleep 1\n").expect("a file");
    assert_eq!(node.loads("-d blog --replace"), "");
    assert_eq!(["blog.web", "blog.clock"].map(|job| node.port(job)), [6000, 6100].map(Some));
    std::fs::write(node.room.path("blog/Procfile"), "first: sleep 1\nweb: sleep 1001\nclock: sleep 1\n")
        .expect("a file");
    assert_eq!(node.loads("-d blog --replace"), "");
    assert_eq!(["blog.first", "blog.web", "blog.clock"].map(|job| node.port(job)), [6000, 6100, 6200].map(Some));

    // What somebody says is done. That it may not work is said.
    assert_eq!(node.loads("-d own"), "", "6050 and 6150 are nobody's so far");
    node.run("unload --app own --no-input").expect(0);
    let same = "gaffer: 'shop.web' and 'blog.clock' have the same port 6200\n";
    assert_eq!((node.loads("-d shop -p 6200"), node.port("shop.web")), (same.to_owned(), Some(6200)));
    assert_eq!((node.loads("-d shop --replace"), node.port("shop.web")), (same.to_owned(), Some(6200)), "it stays so");
    assert_eq!(node.loads("-d shop -p 5000 --replace"), "");
}

/// However many jobs there are, the node is asked once what they have.
#[test]
fn one_request_for_all_jobs() {
    let many: String = (0..20).map(|n| format!("t{n}: sleep 1000\n")).collect();
    let node = Node::beside(Room::empty().file("many/Procfile", &many).file("shop/Procfile", "web: sleep 1000\n"));
    let requests = || {
        let mut stream = UnixStream::connect(node.room.path("node.sock")).expect("the node");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
        let text = io::read_to_string(stream).expect("text");
        let n = text.lines().find_map(|line| line.strip_prefix("gaffer_requests_total ")).expect("a figure");
        n.parse::<u32>().expect("a number")
    };
    node.loads("-d shop");
    node.run("unload --app shop --no-input").expect(0);
    let before = requests();
    node.loads("-d shop");
    let alone = requests() - before;
    node.run("unload --app shop --no-input").expect(0);
    node.loads("-d many");
    let before = requests();
    assert_eq!(node.loads("-d shop -p 8000"), "");
    assert_eq!(requests() - before, alone);
    assert_eq!(node.server().infos().expect("an answer").len(), 21);
}

#[test]
fn more_than_a_hundred_processes() {
    let room = Room::empty().file("shop/Procfile", "web: sleep 1000\nworker: sleep 1000\n");
    let node = Node::beside(room);
    let same = |ports: &str| format!("gaffer: 'shop.web' and 'shop.worker' have the same {ports}\n");
    assert_eq!(node.loads("-d shop -c web=102,worker=5"), same("ports 5100 to 5101"));
    let scale = |n: u32| node.run(&format!("scale -q --app shop web={n}")).expect(0).err;
    assert_eq!([scale(100), scale(101)], [String::new(), same("port 5100")]);
}
