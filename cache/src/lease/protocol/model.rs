//! Every order in which replicas can go through the protocol, with a store that expires leases, answers late or
//! not at all, and replicas that die.

use stateright::{Checker, Model, Property};

use super::{Event, Held, Move};

/// How often a replica waits before it loses patience.
const PATIENCE: u8 = 2;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    replicas: Vec<Replica>,
    /// Who has the lease.
    lease: Option<usize>,
    /// Whether an outcome is in the store.
    stored: bool,
    /// How often the lease of one who was still there expired.
    expiries: u8,
    deaths: u8,
    /// How often the store was away.
    outages: u8,
    impatient: u8,
    works: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Replica {
    next: Move,
    waited: u8,
    working: bool,
    outcome: bool,
    dead: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    /// A replica makes its next move, and the store answers.
    Step(usize),
    /// It makes it, and the store does it without an answer in time, or does not do it.
    Unheard {
        replica: usize,
        done: bool,
    },
    Die(usize),
    /// The time of the lease is over.
    Expire,
}

/// What may go wrong, and how often.
struct Fleet {
    replicas: usize,
    expiries: u8,
    deaths: u8,
    outages: u8,
}

impl Model for Fleet {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let replica = Replica { next: Move::FIRST, waited: 0, working: false, outcome: false, dead: false };
        vec![State {
            replicas: vec![replica; self.replicas],
            lease: None,
            stored: false,
            expiries: 0,
            deaths: 0,
            outages: 0,
            impatient: 0,
            works: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, replica) in state.replicas.iter().enumerate() {
            if replica.dead || replica.next == Move::End {
                continue;
            }
            actions.push(Action::Step(number));
            if state.outages < self.outages && asks(replica) {
                actions.push(Action::Unheard { replica: number, done: true });
                actions.push(Action::Unheard { replica: number, done: false });
            }
            if state.deaths < self.deaths {
                actions.push(Action::Die(number));
            }
        }
        if let Some(holder) = state.lease {
            // The lease of one that is gone always expires in the end.
            let gone = state.replicas[holder].dead || state.replicas[holder].next == Move::End;
            if gone || state.expiries < self.expiries {
                actions.push(Action::Expire);
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Step(number) => state.step(number),
            Action::Unheard { replica, done } => state.unheard(replica, done),
            Action::Die(number) => {
                state.deaths += 1;
                state.replicas[number].dead = true;
                state.replicas[number].working = false;
            }
            Action::Expire => {
                let holder = state.lease.take()?;
                let replica = &state.replicas[holder];
                if !replica.dead && replica.next != Move::End {
                    state.expiries += 1;
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nobody ends without an outcome", |_, state: &State| {
                state.replicas.iter().all(|replica| replica.next != Move::End || replica.outcome)
            }),
            Property::always("an outcome that was stored is not lost", |_, state: &State| {
                state.stored || state.replicas.iter().all(|replica| !replica.outcome) || state.outages > 0
            }),
            Property::always("one works, and one more for each thing that went wrong", |_, state: &State| {
                state.works <= 1 + state.expiries + state.deaths + 2 * state.outages + state.impatient
            }),
            Property::always("two work at once only where something went wrong", |_, state: &State| {
                let working = state.replicas.iter().filter(|replica| replica.working).count();
                let wrong = state.expiries + 2 * state.outages + state.impatient;
                working <= 1 + usize::from(wrong)
            }),
            Property::always("the lease is given back by its holder alone", |_, state: &State| {
                // Without an expiry, nobody works with a lease that is another's.
                let holds = |number: usize| state.lease == Some(number);
                state.expiries > 0
                    || state.replicas.iter().enumerate().all(|(number, replica)| {
                        !(replica.working && replica.next == Move::Work { held: Held::Yes }) || holds(number)
                    })
            }),
            Property::eventually("everyone that lives ends", |_, state: &State| {
                state.replicas.iter().all(|replica| replica.dead || replica.next == Move::End)
            }),
            Property::sometimes("the work of one is enough for all", |_, state: &State| {
                state.works == 1 && state.replicas.iter().all(|replica| replica.next == Move::End)
            }),
        ]
    }
}

/// Whether its move asks the store something.
fn asks(replica: &Replica) -> bool {
    match replica.next {
        Move::Claim | Move::Look { .. } | Move::Release => true,
        // Its end, which stores the outcome.
        Move::Work { .. } => replica.working,
        Move::Pause | Move::End => false,
    }
}

impl State {
    fn step(&mut self, number: usize) {
        let event = match self.replicas[number].next {
            Move::Claim if self.lease.is_none() => {
                self.lease = Some(number);
                Event::Granted
            }
            Move::Claim => Event::Taken,
            Move::Look { .. } if self.stored => {
                self.replicas[number].outcome = true;
                Event::Found
            }
            Move::Look { .. } => Event::NotFound,
            Move::Pause if self.replicas[number].waited == PATIENCE => {
                self.impatient += 1;
                Event::OutOfPatience
            }
            Move::Pause => {
                self.replicas[number].waited += 1;
                Event::Waited
            }
            Move::Work { .. } if !self.replicas[number].working => {
                self.replicas[number].working = true;
                self.works += 1;
                return;
            }
            Move::Work { .. } => {
                self.stored = true;
                self.finish(number)
            }
            Move::Release => {
                self.release(number);
                Event::Released
            }
            Move::End => return,
        };
        self.advance(number, event);
    }

    /// The same, where the store may have heard and does not answer.
    fn unheard(&mut self, number: usize, done: bool) {
        self.outages += 1;
        let event = match self.replicas[number].next {
            Move::Claim => {
                if done && self.lease.is_none() {
                    self.lease = Some(number);
                }
                Event::Unanswered
            }
            Move::Look { .. } => Event::NotFound,
            Move::Work { .. } => {
                self.stored |= done;
                self.finish(number)
            }
            Move::Release => {
                if done {
                    self.release(number);
                }
                Event::Released
            }
            Move::Pause | Move::End => return,
        };
        self.advance(number, event);
    }

    fn finish(&mut self, number: usize) -> Event {
        self.replicas[number].working = false;
        self.replicas[number].outcome = true;
        Event::Finished
    }

    /// As the script does: only if it is its own.
    fn release(&mut self, number: usize) {
        if self.lease == Some(number) {
            self.lease = None;
        }
    }

    fn advance(&mut self, number: usize, event: Event) {
        let replica = &mut self.replicas[number];
        replica.next = replica.next.after(event);
    }
}

fn check(fleet: Fleet) {
    let checker = fleet.checker().spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 100, "{} states", checker.unique_state_count());
}

#[test]
fn one_works_for_all_where_nothing_goes_wrong() {
    check(Fleet { replicas: 3, expiries: 0, deaths: 0, outages: 0 });
}

#[test]
fn a_holder_that_dies_or_stalls_is_replaced_by_one() {
    check(Fleet { replicas: 2, expiries: 2, deaths: 1, outages: 0 });
    check(Fleet { replicas: 3, expiries: 0, deaths: 1, outages: 0 });
}

#[test]
fn a_store_that_goes_away_costs_work_and_loses_nothing() {
    check(Fleet { replicas: 2, expiries: 1, deaths: 1, outages: 2 });
    check(Fleet { replicas: 3, expiries: 0, deaths: 0, outages: 1 });
}
