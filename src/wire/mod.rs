//! stub
pub mod proxy_header;
