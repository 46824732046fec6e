//! A frame of the channel to a process, read and written again.

use gaffer::proto::frame::Frame;

/// What can be read is written as it was.
pub fn run(data: &[u8]) {
    let Ok(frame) = Frame::decode(data) else { return };
    let mut wire = Vec::new();
    frame.encode(&mut wire);
    assert_eq!(wire, data);
}
