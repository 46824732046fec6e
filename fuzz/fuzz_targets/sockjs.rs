#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gaffer_fuzz::sockjs::run(data));
