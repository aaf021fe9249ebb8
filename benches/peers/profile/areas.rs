//! What a sample's symbols mean: which call of the kernel it is in, or whose code it is.

/// A function on the stack, and the file that it is from.
pub struct Place<'t> {
    pub symbol: &'t str,
    pub file: &'t str,
}

impl Place<'_> {
    pub fn is_kernel(&self) -> bool {
        self.file.starts_with('[') && self.file != "[vdso]" && self.file != "[unknown]"
    }
}

/// In which area a sample lies; the innermost function comes first.
pub fn area(stack: &[Place]) -> String {
    let Some(inner) = stack.first() else { return "unknown".to_owned() };
    if inner.is_kernel() { format!("kernel: {}", in_kernel(stack)) } else { in_user(inner).to_owned() }
}

fn in_kernel(stack: &[Place]) -> String {
    let entry = stack.iter().position(|place| ENTRIES.contains(&place.symbol));
    match entry {
        Some(0) => ENTERING.to_owned(),
        Some(at) => match call(stack[at - 1].symbol) {
            Some(call) => call.to_owned(),
            None => ENTERING.to_owned(),
        },
        None if stack.iter().any(|place| place.symbol.contains("page_fault")) => "page faults".to_owned(),
        None if stack.iter().any(|place| place.symbol.starts_with("entry_SYSCALL")) => ENTERING.to_owned(),
        None => "interrupts".to_owned(),
    }
}

/// `__x64_sys_recvfrom`, `__do_sys_accept4`, `ksys_read`: the call's own name is what follows.
fn call(symbol: &str) -> Option<&str> {
    symbol.split_once("sys_").map(|(_, name)| name).filter(|_| !symbol.starts_with("syscall"))
}

fn in_user(place: &Place) -> &'static str {
    let (symbol, file) = (place.symbol, place.file.rsplit('/').next().unwrap_or_default());
    if ["malloc", "calloc", "realloc", "cfree", "free", "_int_", "unlink_chunk", "tcache", "sysmalloc"]
        .iter()
        .any(|word| symbol.trim_start_matches("__libc_").starts_with(word))
    {
        return "allocator";
    }
    if symbol.contains("memmove") || symbol.contains("memcpy") || symbol.contains("memset") || symbol.contains("memcmp")
    {
        return "copying and comparing bytes (libc)";
    }
    if file.starts_with("libc") || file.starts_with("[vdso") || file.starts_with("ld-") {
        return "libc, the rest (the user's side of calls, the clock)";
    }
    if file.starts_with("libssl") || file.starts_with("libcrypto") || symbol.starts_with("aws_lc") {
        return "cryptography";
    }
    // Below it lies a thread's whole loop, inlined.
    if symbol.contains("__rust_begin_short_backtrace") {
        return "tokio";
    }
    match owner(symbol) {
        "portcullis" => "Portcullis",
        "tokio" | "tokio_util" | "mio" | "futures_core" => "tokio",
        "rustls" | "aws_lc_rs" | "webpki" | "tokio_rustls" => "rustls",
        "tracing" | "tracing_core" | "tracing_subscriber" => "tracing",
        "core" | "alloc" | "std" | "hashbrown" => "Rust's library",
        _ => "other user code",
    }
}

/// The crate whose code a symbol is: the first that is not the language's own, if there is one.
fn owner(symbol: &str) -> &str {
    let mut last = "";
    for word in symbol.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')) {
        if ["core", "alloc", "std", "hashbrown"].contains(&word) {
            last = word;
        } else if CRATES.contains(&word) {
            return word;
        }
    }
    last
}

const CRATES: &[&str] = &[
    "portcullis",
    "tokio",
    "tokio_util",
    "mio",
    "futures_core",
    "rustls",
    "aws_lc_rs",
    "webpki",
    "tokio_rustls",
    "tracing",
    "tracing_core",
    "tracing_subscriber",
    "socket2",
    "governor",
    "dashmap",
    "quick_cache",
    "bytes",
    "arc_swap",
    "prometheus",
    "memchr",
    "nix",
    "lru",
    "hyper",
    "axum",
    "serde_json",
];

const ENTRIES: &[&str] = &["do_syscall_64", "el0_svc_common.constprop.0", "invoke_syscall"];
const ENTERING: &str = "entering and leaving calls";
