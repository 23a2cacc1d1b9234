#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| metka_fuzz::targets::event(data));
