//! Rendezvous hashing: every gateway sends a user to the same server, and a server that is added or lost moves only
//! its own share of them.

use std::sync::Arc;

use super::server::Server;

/// The servers for this user, best first.
pub(super) fn rank(servers: &[Arc<Server>], user: &str) -> Vec<Arc<Server>> {
    let mut scored: Vec<_> = servers.iter().map(|server| (score(server.name(), server.weight, user), server)).collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().map(|(_, server)| server.clone()).collect()
}

/// Weighted rendezvous: −weight ÷ ln(h) with h uniform in (0, 1).
fn score(server: &str, weight: u32, user: &str) -> f64 {
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    let uniform = ((hash(server, user) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / uniform.ln()
}

/// FNV-1a with a finisher (splitmix64): must never change, or every user of a hashed pool would move.
fn hash(server: &str, user: &str) -> u64 {
    let bytes = server.bytes().chain([0]).chain(user.bytes());
    let mut h = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash("mail1", "alice@example.com"), 0x3b33_fd0c_a19e_c75f);
    }

    fn best(servers: &[(&'static str, u32)], user: &str) -> &'static str {
        let scores = servers.iter().map(|&(name, weight)| (score(name, weight, user), name));
        scores.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name).expect("servers")
    }

    #[test]
    fn weights_decide_the_shares_and_a_new_server_takes_only_its_own() {
        let two = [("a", 1), ("b", 3)];
        let three = [("a", 1), ("b", 3), ("c", 1)];
        let users: Vec<String> = (0..4000).map(|n| format!("user{n}@example.com")).collect();
        let on_b = users.iter().filter(|user| best(&two, user) == "b").count();
        assert!((2850..3150).contains(&on_b), "{on_b} of 4000 on b");
        assert!(users.iter().all(|user| best(&three, user) == "c" || best(&three, user) == best(&two, user)));
    }
}
