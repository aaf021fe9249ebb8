//! Arguments → cli; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::main()
}

/// A session is a handful of small pieces, some aligned to 128 bytes, that come and go with it: jemalloc's classes of
/// size waste less between them than glibc's heads and rounding, and cost less at each login (benches/peers).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
