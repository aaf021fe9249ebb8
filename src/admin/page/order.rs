//! By what the list is sorted and filtered.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::words::called;
use crate::nodes::One;
use crate::proto::Protocol;

/// A column that can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    User,
    Protocol,
    Client,
    Tls,
    Backend,
    Since,
    Moved,
    Up,
    Down,
    /// Only where there are several gateways.
    Gateway,
}

impl Column {
    const ALL: [Self; 10] = [
        Self::User,
        Self::Protocol,
        Self::Client,
        Self::Tls,
        Self::Backend,
        Self::Since,
        Self::Moved,
        Self::Up,
        Self::Down,
        Self::Gateway,
    ];

    /// Those that are shown.
    pub(super) fn shown(has_others: bool) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |column| has_others || *column != Self::Gateway)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Protocol => "protocol",
            Self::Client => "client",
            Self::Tls => "tls",
            Self::Backend => "backend",
            Self::Since => "since",
            Self::Moved => "moved",
            Self::Up => "up",
            Self::Down => "down",
            Self::Gateway => "gateway",
        }
    }

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Protocol => "Protocol",
            Self::Client => "Client",
            Self::Tls => "TLS",
            Self::Backend => "Back-end",
            Self::Since => "Since",
            Self::Moved => "Last activity",
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Gateway => "Gateway",
        }
    }

    /// Numbers stand to the right.
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Since | Self::Moved | Self::Up | Self::Down)
    }
}

/// A column, and which end comes first: `user`, `-up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub column: Column,
    pub is_reversed: bool,
}

/// What is compared; never two kinds in one list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Text(Box<str>),
    Word(&'static str),
    Address(IpAddr, u16),
    Number(u64),
    Reversed(Reverse<Box<Self>>),
}

impl Order {
    /// What is not written so is the usual order, by user.
    pub(super) fn read(text: &str) -> Self {
        let (name, is_reversed) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = Column::ALL.into_iter().find(|column| column.name() == name);
        column.map_or(Self { column: Column::User, is_reversed: false }, |column| Self { column, is_reversed })
    }

    pub(super) fn written(self) -> String {
        format!("{}{}", if self.is_reversed { "-" } else { "" }, self.column.name())
    }

    /// What a click on a column's heading asks for: it, then it the other way round.
    pub(super) fn toggled(self, column: Column) -> Self {
        Self { column, is_reversed: self.column == column && !self.is_reversed }
    }

    pub(super) fn key(self, one: One<'_>) -> Key {
        let key = match self.column {
            Column::User => Key::Text(one.user().into()),
            Column::Protocol => Key::Word(called(one.protocol())),
            Column::Client => Key::Address(one.client().ip().to_canonical(), one.client().port()),
            Column::Tls => Key::Text(one.tls().into()),
            Column::Backend => Key::Text(one.backend().into()),
            Column::Since => Key::Number(one.since()),
            Column::Moved => Key::Number(one.moved()),
            Column::Up => Key::Number(one.bytes().0),
            Column::Down => Key::Number(one.bytes().1),
            Column::Gateway => Key::Text(one.node().into()),
        };
        if self.is_reversed { Key::Reversed(Reverse(Box::new(key))) } else { key }
    }
}

/// Words that a row must have, all of them, in any column and any case.
pub(super) struct Search(Vec<String>);

impl Search {
    pub(super) fn new(text: &str) -> Self {
        Self(text.split_whitespace().take(WORDS).map(str::to_ascii_lowercase).collect())
    }

    pub(super) fn finds(&self, protocol: Option<Protocol>, one: One<'_>) -> bool {
        protocol.is_none_or(|protocol| protocol == one.protocol()) && (self.0.is_empty() || self.is_in(one))
    }

    fn is_in(&self, one: One<'_>) -> bool {
        let (user, protocol, client) = (one.user(), called(one.protocol()), one.client());
        let text = format!("{user} {protocol} {client} {} {} {}", one.tls(), one.backend(), one.node());
        let text = text.to_ascii_lowercase();
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

/// More make no search finer.
const WORDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Roster;

    fn roster() -> (Roster, Vec<crate::roster::Guest>) {
        let roster = Roster::new(64);
        let arrive = |(user, protocol, client): (&str, Protocol, &str)| {
            let mut guest = roster.guest(protocol, &"a listener".into(), client.parse().unwrap());
            guest.facts().unwrap().user = Some(user.into());
            guest.facts().unwrap().backend = Some("one.example.org".into());
            guest.logged_in();
            guest
        };
        let guests = [
            ("carol", Protocol::Imap, "192.0.2.10:1"),
            ("alice", Protocol::Pop3, "192.0.2.9:1"),
            ("bob", Protocol::Submission, "[2001:db8::1]:1"),
        ];
        let guests = guests.map(arrive).into();
        (roster, guests)
    }

    fn users(roster: &Roster, order: &str, search: &str, window: (usize, usize)) -> (Vec<String>, usize) {
        let (order, search) = (Order::read(order), Search::new(search));
        let (entries, total) =
            roster.sorted(|entry| search.finds(None, entry.into()), |entry| order.key((&**entry).into()), window);
        (entries.iter().map(|entry| entry.user.as_deref().unwrap().to_owned()).collect(), total)
    }

    #[test]
    fn a_list_is_sorted_by_any_column_both_ways_and_in_pages() {
        let (roster, _guests) = roster();
        for (order, expected) in [
            ("user", ["alice", "bob", "carol"]),
            ("-user", ["carol", "bob", "alice"]),
            ("nonsense", ["alice", "bob", "carol"]),
            ("client", ["alice", "carol", "bob"]),
            ("protocol", ["carol", "alice", "bob"]),
            ("-up", ["carol", "alice", "bob"]),
        ] {
            assert_eq!(users(&roster, order, "", (0, 10)), (expected.map(str::to_owned).to_vec(), 3), "{order}");
        }
        assert_eq!(users(&roster, "user", "", (1, 1)), (vec!["bob".to_owned()], 3));
        assert_eq!(users(&roster, "user", "", (usize::MAX, 1)), (vec![], 3));
    }

    #[test]
    fn all_words_of_a_search_are_found_in_any_column_and_case() {
        let (roster, _guests) = roster();
        for (search, expected) in
            [("ALICE", "alice"), ("submission one.example", "bob"), ("192.0.2.1 imap", "carol"), ("2001:db8::", "bob")]
        {
            assert_eq!(users(&roster, "user", search, (0, 10)), (vec![expected.to_owned()], 1), "{search}");
        }
        assert_eq!(users(&roster, "user", "alice bob", (0, 10)).1, 0);
    }

    #[test]
    fn a_second_click_on_a_heading_turns_the_order_round() {
        let order = Order::read("user");
        assert_eq!(order.toggled(Column::User).written(), "-user");
        assert_eq!(order.toggled(Column::User).toggled(Column::User).written(), "user");
        assert_eq!(Order::read("-user").toggled(Column::Down).written(), "down");
    }

    #[test]
    fn twenty_thousand_sessions_are_sorted_and_searched_in_a_moment() {
        let roster = Roster::new(64);
        let arrive = |number: u32| {
            let client = std::net::SocketAddr::from((std::net::Ipv4Addr::from(number * 7919), 1));
            let mut guest = roster.guest(Protocol::Imap, &"a listener".into(), client);
            guest.facts().unwrap().user = Some(format!("user{number}@example.org").into());
            guest.logged_in();
            guest
        };
        let _guests: Vec<_> = (0..20_000).map(arrive).collect();
        let begun = std::time::Instant::now();
        for order in ["user", "-client", "moved", "down"] {
            assert_eq!(users(&roster, order, "USER1 org", (200, 200)).1, 11_111);
        }
        // For four times; a generous bound, because tests are not optimized and share the machine.
        assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
    }
}
