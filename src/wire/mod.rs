//! stub
pub mod proxy_header;
pub mod tls_client;
