//! Random histories: after each step the plan to a random moment must make exactly that moment's state.

use proptest::prelude::*;

use super::world::World;
use crate::format::Engine;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A transaction: keys to write, the extent after it, whether it commits.
    Transaction {
        keys: Vec<u64>,
        extent: u64,
        commits: bool,
        mark_first: bool,
    },
    Mark {
        name: u8,
    },
    Drop {
        name: u8,
    },
    Rewind {
        pick: usize,
        append: bool,
        tailed: bool,
    },
    Checkpoint {
        which: u32,
        truncate: bool,
    },
    Repeat {
        pick: usize,
    },
    Era {
        rollback: bool,
    },
    /// From now on each commit is kept, or not; the clock goes on, or back.
    Keep {
        commits: bool,
    },
    Clock {
        to: u64,
    },
    /// Something unrecorded happens, and recording begins anew.
    Break {
        rollback: bool,
        extent: usize,
    },
}

pub(super) const KEYS: u64 = 12;

pub(super) fn step() -> impl Strategy<Value = Step> {
    let transaction = (prop::collection::vec(1..=KEYS, 0..5), 0..=KEYS, 0..8u8, 0..6u8).prop_map(
        |(keys, extent, commits, mark_first)| {
            // Most transactions keep most of the keys.
            let extent = if extent < 4 { KEYS - 2 } else { extent };
            Step::Transaction { keys, extent, commits: commits > 0, mark_first: mark_first == 0 }
        },
    );
    prop_oneof![
        12 => transaction,
        1 => (prop::collection::vec(1..=KEYS, 0..5), 0..4u64).prop_map(|(keys, extent)| {
            Step::Transaction { keys, extent, commits: true, mark_first: false }
        }),
        4 => (0..4u8).prop_map(|name| Step::Mark { name }),
        1 => (0..4u8).prop_map(|name| Step::Drop { name }),
        5 => (any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(pick, append, tailed)| Step::Rewind { pick, append, tailed }),
        2 => (any::<u32>(), any::<bool>()).prop_map(|(which, truncate)| Step::Checkpoint { which, truncate }),
        1 => any::<usize>().prop_map(|pick| Step::Repeat { pick }),
        1 => any::<bool>().prop_map(|rollback| Step::Era { rollback }),
        1 => any::<bool>().prop_map(|commits| Step::Keep { commits }),
        4 => (0..200u64).prop_map(|to| Step::Clock { to }),
        1 => (prop::bool::weighted(0.5), 0..10usize, 0..6u8).prop_map(|(rollback, extent, rare)| {
            if rare == 0 { Step::Break { rollback, extent } } else { Step::Mark { name: 3 } }
        }),
    ]
}

pub(super) fn engine(rollback: bool) -> Engine {
    if rollback { Engine::Rollback } else { Engine::Wal }
}

fn picked(world: &World, pick: usize) -> u64 {
    let reachable: Vec<u64> = world.reachable().into_iter().collect();
    reachable[pick % reachable.len()]
}

pub(super) fn take(world: &mut World, step: &Step, pick: usize) {
    match step {
        Step::Transaction { keys, extent, commits, mark_first } => {
            let writes: Vec<(u64, u32)> = keys.iter().map(|key| (*key, world.content())).collect();
            let halfway = |world: &World| {
                // A mark may name the commit that is not recorded yet; it is no target so far.
                let target = picked(world, pick);
                world.check_present(target);
            };
            if world.engine == Engine::Wal && !*commits {
                world.written_ahead(&writes);
            } else if world.engine == Engine::Wal {
                world.commit_after(&writes, *extent, mark_first.then_some("ahead"), halfway);
            } else {
                world.transaction_before(&writes, *extent, *commits, halfway);
            }
        }
        Step::Mark { name } => world.mark(&format!("mark {name}")),
        Step::Drop { name } => world.drop_mark(&format!("mark {name}")),
        Step::Rewind { pick, append, tailed } => {
            let target = picked(world, *pick);
            world.rewind(target, *append, *tailed);
        }
        Step::Checkpoint { which, truncate } => {
            if world.engine == Engine::Wal {
                world.checkpoint(|key| which >> key & 1 == 1, *truncate);
            }
        }
        Step::Repeat { pick } => world.repeat(*pick),
        Step::Era { rollback } => {
            world.checkpoint_all();
            world.begin_era(engine(*rollback), false);
        }
        Step::Keep { commits } => world.keep_commits = *commits,
        Step::Clock { to } => world.clock = *to,
        Step::Break { rollback, extent } => {
            world.file = (0..*extent).map(|_| world.content()).collect();
            world.state.clone_from(&world.file);
            world.begin_era(engine(*rollback), true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1000)))]

    #[test]
    fn plans_make_the_recorded_states(
        rollback in any::<bool>(),
        extent in 0..10usize,
        steps in prop::collection::vec((step(), any::<usize>()), 1..40),
    ) {
        let mut world = World::new(engine(rollback), (1..=extent as u32).collect());
        for (step, pick) in &steps {
            take(&mut world, step, *pick);
            world.check_present(picked(&world, *pick));
            world.check_pair(picked(&world, pick.rotate_left(16)), picked(&world, pick.rotate_left(32)));
        }
        world.check_all();
    }
}
