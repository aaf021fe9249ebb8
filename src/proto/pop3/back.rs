//! stub
use crate::proto::{Ask, Back, Errand};
use bytes::BytesMut;
pub(in crate::proto) struct Pop3Back;
impl Pop3Back {
    pub(in crate::proto) fn new(_errand: Errand) -> Self {
        Self
    }
}
impl Back for Pop3Back {
    fn step(&mut self, _heard: &mut BytesMut, _say: &mut Vec<u8>) -> Ask {
        Ask::Input
    }
    fn secured(&mut self) {}
    fn stage(&self) -> &'static str {
        "greeting"
    }
}
