//! What the rules say of a hundred thousand honest visitors, and of frauds of each kind.

use metka::config::Config;

use crate::population::judge;

/// Of honest visitors, at most one in so many may be over the default threshold by more than one rule.
const HONEST_OVER: u64 = 10_000;
/// Frauds of each kind.
const FRAUDS: u64 = 300;

#[test]
fn every_rule_finds_its_frauds_and_honest_visitors_stay_below_the_threshold() {
    let text = "[fraud]\npage_order = [\"/payment > /payment/done\"]";
    let config = Config::parse(text, [], std::path::Path::new("/srv")).expect("valid");
    for networks in [true, false] {
        let tally = judge(100_000, FRAUDS, &config, networks);
        println!("{}", if networks { "with a database of networks" } else { "without one" });
        for of in &tally.rules {
            println!(
                "{:<16} {:>4} frauds, recall {:.3}, precision {:.3}, honest {:>5}, over the threshold {:>4}",
                of.name,
                of.frauds,
                of.recall(),
                of.precision(),
                of.honest,
                of.over
            );
            assert!(of.frauds >= FRAUDS, "{}", of.name);
            let least = if of.name == "network" && !networks { 0.0 } else { 0.99 };
            assert!(of.recall() >= least, "{}: {} of {}", of.name, of.found, of.frauds);
        }
        println!(
            "honest over the threshold: {:?}, by several rules {}",
            tally.honest_over, tally.honest_over_by_several
        );
        println!(
            "honest users of two devices: {:?}, by several rules {}",
            tally.users_over, tally.users_over_by_several
        );
        assert!(tally.honest_over_by_several <= tally.honest / HONEST_OVER, "{:?}", tally.honest_over);
        assert!(tally.users_over_by_several <= tally.honest / HONEST_OVER, "{:?}", tally.users_over);
    }
}
