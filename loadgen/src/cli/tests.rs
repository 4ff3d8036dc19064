//! Command lines, right and wrong.

use super::*;
use clap::CommandFactory;

fn parse(args: &[&str]) -> Result<Scenario, clap::Error> {
    Cli::try_parse_from([&["fanfare-loadgen"], args].concat()).map(|cli| cli.scenario)
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn a_loop_is_open_or_closed_but_not_both() {
    assert!(parse(&["fanout", "--rate", "100", "--in-flight", "16"]).is_err());
    assert!(parse(&["fanout", "--rate", "100"]).is_ok());
    assert!(parse(&["rooms", "--in-flight", "16"]).is_ok());
    assert!(parse(&["fanout", "--in-flight", "0"]).is_err());
}

#[test]
fn deflate_has_a_value_or_none_and_takes_no_other_option_for_one() {
    for (args, deflate) in [
        (&["--dev"][..], Deflate::None),
        (&["--deflate", "--dev"], Deflate::Shared),
        (&["--deflate=shared"], Deflate::Shared),
        (&["--deflate=alone"], Deflate::Alone),
    ] {
        let Ok(Scenario::Fanout(fanout)) = parse(&[&["fanout"], args].concat()) else { panic!("{args:?}") };
        assert_eq!(fanout.common.deflate, deflate);
    }
    assert!(parse(&["fanout", "--deflate=both"]).is_err());
}

#[test]
fn each_scenario_has_its_own_defaults_and_the_same_options() {
    let Ok(Scenario::Rooms(args)) = parse(&["rooms"]) else { panic!("rooms") };
    assert_eq!((args.rooms, args.members, args.slow, args.rate), (100, 10, 0, 10_000.0));
    let Ok(Scenario::Slow(args)) = parse(&["slow", "--members", "7"]) else { panic!("slow") };
    assert_eq!((args.rooms, args.members, args.slow, args.payload.size), (1, 7, 50, 4_096));
    let Ok(Scenario::Fanout(args)) = parse(&["fanout"]) else { panic!("fanout") };
    assert_eq!((args.rooms, args.members, args.slow, args.rate), (1, 1_000, 0, 100.0));
}
