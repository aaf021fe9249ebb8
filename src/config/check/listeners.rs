//! The listeners: which service is offered where.

use std::net::SocketAddr;

use super::access;
use super::item::Item;
use super::services::Offer;
use super::sheet::Fields;
use super::values;
use crate::config::{AddressRange, Listener, ListenerTls};
use crate::proto::Protocol;

/// The listeners that could be read, and every address that is taken.
#[derive(Default)]
pub(super) struct Bound {
    pub(super) listeners: Vec<Listener>,
    /// What they offer, right or wrong otherwise.
    pub(super) protocols: Vec<Protocol>,
    taken: Vec<(SocketAddr, String)>,
}

impl Bound {
    /// The path of the listener that has this address; nobody has port 0.
    pub(super) fn holder(&self, address: SocketAddr) -> Option<&str> {
        let holder = self.taken.iter().find(|(taken, _)| *taken == address && address.port() != 0);
        holder.map(|(_, path)| path.as_str())
    }
}

/// `has_certificates`: whether a listener may speak TLS.
pub(super) fn listeners(root: &mut Fields<'_>, offers: &[Offer], has_certificates: bool) -> Bound {
    let mut bound = Bound::default();
    let Some(list) = root.need("listeners") else { return bound };
    for item in list.some_items() {
        let listener = listener(&item, offers, has_certificates, &mut bound);
        bound.listeners.extend(listener);
    }
    bound
}

fn listener(item: &Item<'_>, offers: &[Offer], has_certificates: bool, bound: &mut Bound) -> Option<Listener> {
    let mut fields = item.fields()?;
    let protocol = fields.need("service").and_then(|item| item.choice(&Protocol::ALL.map(|each| (each.name(), each))));
    bound.protocols.extend(protocol);
    let address = fields.need("address").and_then(|each| address(&each, &item.place.path, bound));
    let tls = fields.need("tls").and_then(|item| {
        let tls = tls(&item, has_certificates)?;
        if protocol == Some(Protocol::Smtp) && tls == ListenerTls::Implicit && address.is_some_and(|it| it.port() == 25)
        {
            item.fault("no server begins with TLS at port 25; it is starttls or none");
        }
        Some(tls)
    });
    let proxy_protocol = proxy_protocol(&mut fields);
    let access = access::rules(&mut fields);
    let limits = access::limits(&mut fields);
    let offer = offers.iter().find(|offer| Some(offer.service.protocol) == protocol)?;
    Some(Listener { service: offer.service.clone(), address: address?, tls: tls?, proxy_protocol, access, limits })
}

/// An address that nobody else has, and that `listener` (its path) has from now on.
pub(super) fn address(item: &Item<'_>, listener: &str, bound: &mut Bound) -> Option<SocketAddr> {
    let address = item.read(values::bound_address)?;
    match bound.holder(address) {
        Some(path) => item.fault(format!("`{address}` is also the address of {path}")),
        None => bound.taken.push((address, listener.to_owned())),
    }
    Some(address)
}

fn tls(item: &Item<'_>, has_certificates: bool) -> Option<ListenerTls> {
    let tls = item.choice(&MODES)?;
    if tls != ListenerTls::None && !has_certificates {
        let wanted = ["tls.certificates"];
        item.sheet.missing(&item.place, &wanted, "needs a certificate in `tls.certificates`, and there is none");
    }
    Some(tls)
}

const MODES: [(&str, ListenerTls); 3] =
    [("none", ListenerTls::None), ("starttls", ListenerTls::StartTls), ("implicit", ListenerTls::Implicit)];

fn proxy_protocol(fields: &mut Fields<'_>) -> Option<Vec<AddressRange>> {
    let mut fields = fields.take("proxy_protocol")?.fields()?;
    fields.need("from").map(access::addresses)
}
