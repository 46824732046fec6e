#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gaffer_fuzz::lookup::run(data));
