//! A web server for `examples/Procfile`: it listens on 127.0.0.1:$PORT and greets.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(5000);
    let greeting = env::var("GREETING").unwrap_or_else(|_| "hello".to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on http://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        match stream.and_then(|stream| answer(&stream, &greeting)) {
            Ok(line) => println!("{line}"),
            Err(e) => eprintln!("a client has failed: {e}"),
        }
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, greeting: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = BufReader::new(stream).lines();
    let request = head.next().transpose()?.unwrap_or_default();
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let length = greeting.len() + 1;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{greeting}\n")?;
    Ok(request)
}
