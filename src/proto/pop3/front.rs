//! stub
use crate::proto::{Denial, Front, Granted, Need, Terms};
use bytes::BytesMut;
pub(in crate::proto) struct Pop3Front;
impl Pop3Front {
    pub(in crate::proto) fn new(_terms: Terms) -> Self {
        Self
    }
}
impl Front for Pop3Front {
    fn greet(&mut self, _say: &mut Vec<u8>) {}
    fn step(&mut self, _heard: &mut BytesMut, _say: &mut Vec<u8>) -> Need {
        Need::Input
    }
    fn secured(&mut self) {}
    fn deny(&mut self, _denial: Denial, _say: &mut Vec<u8>) {}
    fn grant(&mut self, _granted: &Granted, _say: &mut Vec<u8>) {}
}
