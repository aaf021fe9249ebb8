//! Who gets in beside whom, in paused time, with binds that take as long as a test says.

use std::net::Ipv4Addr;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

/// How long the directory takes for a wrong password.
const SLOW: Duration = Duration::from_millis(1500);
/// How long a check may wait.
const PATIENCE: Duration = Duration::from_secs(2);

fn asker(address: u16, user: &str) -> Asker {
    let [high, low] = address.to_be_bytes();
    Asker { address: Ipv4Addr::new(10, 0, high, low).into(), user: user.into() }
}

/// A wrong password: waits for its turn, and holds it for as long as the directory takes.
async fn guess(queue: Arc<CheckQueue>, asker: Asker) -> Result<(), Unavailable> {
    let permit = queue.permit(asker, Instant::now() + PATIENCE).await?;
    sleep(SLOW).await;
    permit.ends_with(Verdict::Wrong);
    Ok(())
}

/// A right password, and how long it waited for its turn.
async fn log_in(queue: &Arc<CheckQueue>, asker: Asker) -> Duration {
    let began = Instant::now();
    queue.permit(asker, began + PATIENCE).await.expect("a turn").ends_with(Verdict::Right);
    began.elapsed()
}

/// 500 guesses in flight at a time, for ever, at alice and at others.
fn attack(queue: &Arc<CheckQueue>, addresses: u16) -> JoinSet<()> {
    let mut guesses = JoinSet::new();
    for n in 0..500_u16 {
        let queue = Arc::clone(queue);
        let user = if n % 2 == 0 { "alice".to_owned() } else { format!("user{n}") };
        guesses.spawn(async move {
            loop {
                if guess(Arc::clone(&queue), asker(n % addresses, &user)).await.is_err() {
                    sleep(Duration::from_millis(100)).await;
                }
            }
        });
    }
    guesses
}

#[tokio::test(start_paused = true)]
async fn guesses_from_one_address_or_a_hundred_do_not_keep_anyone_waiting() {
    for addresses in [1, 100] {
        let queue = CheckQueue::new(2);
        let _attack = attack(&queue, addresses);
        // At first nobody is known to guess, and later everybody is.
        for n in 0..50 {
            tokio::task::yield_now().await;
            assert_eq!(
                log_in(&queue, asker(10_000, "alice")).await,
                Duration::ZERO,
                "{addresses} addresses, login {n}"
            );
            let newcomer = asker(10_001 + n, &format!("newcomer{n}"));
            assert_eq!(log_in(&queue, newcomer).await, Duration::ZERO, "{addresses} addresses, newcomer {n}");
            sleep(Duration::from_secs(1)).await;
        }
        assert!(queue.state().in_flight <= queue.limits.others + usize::from(addresses), "the attack goes on");
        assert!(queue.state().waiting() > 100, "the attack goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_wrong_passwords_of_ones_own_are_forgiven() {
    let queue = CheckQueue::new(2);
    let _attack = attack(&queue, 100);
    sleep(Duration::from_secs(10)).await;
    for _ in 0..2 {
        guess(Arc::clone(&queue), asker(10_000, "alice")).await.expect("a turn");
    }
    assert_eq!(log_in(&queue, asker(10_000, "alice")).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn users_of_an_address_that_guesses_too_are_known_by_their_right_passwords() {
    let queue = CheckQueue::new(2);
    log_in(&queue, asker(0, "bob")).await;
    let _attack = attack(&queue, 1);
    sleep(Duration::from_secs(10)).await;
    for _ in 0..10 {
        assert_eq!(log_in(&queue, asker(0, "bob")).await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_and_one_user_get_half_of_what_is_for_all_suspects() {
    let queue = CheckQueue::new(2);
    let until = Instant::now() + PATIENCE;
    let mut guesses = JoinSet::new();
    for n in 0..100 {
        guesses.spawn(guess(Arc::clone(&queue), asker(1, &format!("user{n}"))));
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!((queue.state().in_flight, queue.limits.others), (16, 32));
    let _of_another = [queue.permit(asker(2, "a"), until).await, queue.permit(asker(2, "b"), until).await];
    assert_eq!(queue.state().in_flight, 18);

    let queue = CheckQueue::new(2);
    for address in 0..100 {
        for _wrong in 0..FORGIVEN {
            queue.permit(asker(address, "x"), until).await.expect("a turn").ends_with(Verdict::Wrong);
        }
    }
    for address in 0..100 {
        guesses.spawn(guess(Arc::clone(&queue), asker(address, "alice")));
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queue.state().in_flight, 16, "at one user, from a hundred addresses that guess");
    let _at_another = queue.permit(asker(0, "bob"), until).await.expect("a turn");
    assert_eq!(queue.state().in_flight, 17);
}

#[tokio::test(start_paused = true)]
async fn addresses_take_turns_and_so_do_the_users_of_an_address() {
    let mut lines = Lines::default();
    let mut place = |address, user: &str, id| {
        let (grant, granted) = oneshot::channel();
        lines.push(Waiter { id, asker: asker(address, user), grant });
        granted
    };
    let _places: Vec<_> = [(1, "a"), (1, "a"), (1, "b"), (2, "c"), (2, "c"), (3, "a")]
        .into_iter()
        .zip(0..)
        .map(|((address, user), id)| place(address, user, id))
        .collect();
    let order: Vec<u64> = std::iter::from_fn(|| lines.next(|_| true, |_| true)).map(|waiter| waiter.id).collect();
    assert_eq!(order, [0, 3, 5, 2, 4, 1]);
    assert_eq!(lines.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_address_with_most_checks_in_a_full_queue_is_refused_first() {
    let mut lines = Lines::default();
    let mut place = |address, user: &str, id| {
        let (grant, granted) = oneshot::channel();
        lines.push(Waiter { id, asker: asker(address, user), grant });
        granted
    };
    let mut places = vec![place(1, "a", 0), place(1, "b", 1), place(1, "b", 2), place(2, "c", 3)];
    assert!(!lines.make_room(&asker(1, "b"), true, 100), "its own checks are most");
    assert!(lines.make_room(&asker(1, "a"), false, 100), "there is room");
    assert!(lines.make_room(&asker(2, "c"), true, 100));
    assert!(places.swap_remove(2).await.is_err(), "the newest of the fullest user of the fullest address");
    assert_eq!(lines.len(), 3);
    assert!(lines.make_room(&asker(1, "d"), false, 2), "a new user of an address that has its most");
    assert_eq!(lines.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_empties() {
    let queue = CheckQueue::new(1);
    let mut guesses = JoinSet::new();
    for n in 0..10_000_u16 {
        guesses.spawn(guess(Arc::clone(&queue), asker(n % 50, &format!("user{n}"))));
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(queue.state().waiting(), WAITING_MAX);
    while guesses.join_next().await.is_some() {}
    let state = queue.state();
    assert_eq!((state.in_flight, state.waiting(), state.others.len()), (0, 0, 0));
    assert!(state.addresses.is_empty() && state.users.is_empty() && state.pairs.is_empty());
}
