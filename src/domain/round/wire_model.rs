//! A reference model of pings over HTTP/2 for tests: batches that are written together, flow control that delays some,
//! and answers that are read together. Bounds must not exceed the truth, although pings share `sent` and `received`.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::model::{attempt, cases, ping};
use super::{Attempt, Known, Outcome, PingResult, proven};

/// A connection of a round, with times in µs.
#[derive(Debug, Clone)]
struct Connection {
    /// The time at which the batch is written, from the start of the attempt.
    sent: u64,
    /// The network latency in one direction.
    latency: u64,
    /// The flow control window and the size of a payload, in bytes.
    window: u64,
    payload: u64,
    /// The interval in which answers are read together.
    read_every: u64,
    /// The duration of each ping's handler, and the choice of an idle environment.
    pings: Vec<(u64, usize)>,
}

fn connection() -> impl Strategy<Value = Connection> {
    let pings = prop::collection::vec((1_u64..80_000, any::<usize>()), 1..40);
    let window = prop_oneof![Just(65_535_u64), Just(1 << 20)];
    let payload = prop_oneof![3 => 50_u64..500, 1 => 10_000_u64..200_000];
    (0_u64..20_000, 1_u64..30_000, window, payload, 1_u64..10_000, pings).prop_map(
        |(sent, latency, window, payload, read_every, pings)| Connection {
            sent,
            latency,
            window,
            payload,
            read_every,
            pings,
        },
    )
}

/// Returns the time at which ping number `place` of a batch is completely written, with one window per round trip.
fn written(connection: &Connection, place: u64) -> u64 {
    let waits = ((place + 1) * connection.payload - 1) / connection.window;
    connection.sent + waits * 2 * connection.latency
}

/// Runs the round with `idle` existing environments. Returns the observed results and the number of environments
/// reached.
fn run(connections: &[Connection], idle: usize) -> (Vec<PingResult>, usize) {
    let mut arrivals = Vec::new();
    for connection in connections {
        for (place, (runs, choice)) in (0..).zip(&connection.pings) {
            arrivals.push((written(connection, place) + connection.latency, *runs, *choice, connection));
        }
    }
    arrivals.sort_by_key(|(at, ..)| *at);
    let mut free_from = vec![0; idle];
    let (mut reached, mut seen) = (HashSet::new(), Vec::new());
    for (at, runs, choice, connection) in arrivals {
        let free: Vec<usize> = (0..free_from.len()).filter(|e| free_from[*e] <= at).collect();
        let environment = match free.get(choice % free.len().max(1)) {
            Some(environment) => *environment,
            None => {
                free_from.push(0);
                free_from.len() - 1
            }
        };
        free_from[environment] = at + runs;
        reached.insert(environment);
        let answered = at + runs + connection.latency;
        let received = answered.next_multiple_of(connection.read_every);
        let reported = runs.div_ceil(10) as f64 / 100.0;
        seen.push(ping(Outcome::Warm, connection.sent as f64 / 1e3, received as f64 / 1e3, reported));
    }
    (seen, reached.len())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn bounds_do_not_exceed_truth_with_batches_and_flow_control(
        connections in prop::collection::vec(connection(), 1..8),
        idle in 0_usize..60,
    ) {
        let (pings, truth) = run(&connections, idle);
        let proof = proven(&[attempt(pings)], Known::default());
        prop_assert!(proof.environments as usize <= truth, "{proof:?} above {truth}");
    }

    /// With small payloads and a hold above the spread, shared connections do not prevent a proof.
    #[test]
    fn hold_above_spread_proves_all(
        mut connections in prop::collection::vec(connection(), 1..8),
        idle in 0_usize..300,
    ) {
        for connection in &mut connections {
            (connection.payload, connection.window) = (300, 65_535);
        }
        let spread = connections.iter().map(|c| c.sent + 2 * c.latency + c.read_every).max().unwrap_or(0);
        // Hold and duration are reduced by 1 ms, 20 µs and two ten-thousandths.
        let hold = spread + spread / 2_500 + 1_040;
        for connection in &mut connections {
            connection.pings.iter_mut().for_each(|(runs, _)| *runs = hold);
        }
        let (pings, truth) = run(&connections, idle);
        prop_assert_eq!(truth, pings.len());
        let held = Some(Duration::from_micros(hold));
        let attempt = Attempt { hold: held, handler_hold: held, ..attempt(pings) };
        prop_assert_eq!(proven(&[attempt], Known::default()).environments as usize, truth);
    }
}

/// Large payloads wait for the window, and `sent` remains that of the batch.
#[test]
fn flow_control_delays_pings() {
    let connection = Connection {
        sent: 10,
        latency: 1_000,
        window: 65_535,
        payload: 30_000,
        read_every: 1,
        pings: vec![(1, 0); 5],
    };
    let times: Vec<u64> = (0..5).map(|place| written(&connection, place)).collect();
    assert_eq!(times, [10, 10, 2_010, 2_010, 4_010]);
}
