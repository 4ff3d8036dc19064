//! The cable is pulled: clients are gone without a word, and no packet of theirs or for them arrives any more.
//!
//! The test starts itself again in a network of its own, where the server and some clients are, and there once more
//! in another one for the clients that vanish; a pair of virtual network cards connects the two. Nothing of the
//! machine's own network is touched, and all of it is gone with the processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Fleet, Member, publish};
use crate::support::{Client, Options, Raw, Server, eventually, signed};
use crate::world::{closes, connections, members, paced_while, skipped};

const ROOM: &str = "room:1";
const SECRET: &str = "a secret of this test, long enough for anybody";
const FAR: usize = 40;
const NEAR: usize = 10;
const INTERVAL: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
/// How much later than its time something may happen: timers are looked at four times a second, each deadline is
/// rounded up to a quarter, and the machine is not ours alone.
const SLACK: Duration = Duration::from_millis(1_500);
/// The two ends of the cable.
const SERVER: &str = "10.254.77.1";
const CLIENTS: &str = "10.254.77.2";

#[test]
fn clients_that_vanish_are_found_in_time_with_io_uring() {
    pull_the_cable("uring", "vanish::clients_that_vanish_are_found_in_time_with_io_uring");
}

#[test]
fn clients_that_vanish_are_found_in_time_with_epoll() {
    pull_the_cable("epoll", "vanish::clients_that_vanish_are_found_in_time_with_epoll");
}

fn pull_the_cable(driver: &'static str, test: &str) {
    match std::env::var("FANFARE_FAULTS_PART").as_deref() {
        Ok("server") => near(driver, test),
        Ok("clients") => far(),
        _ => {
            let Some(mut part) = part("server", test) else {
                skipped("no network of our own can be made here (unshare, ip, veth)");
                return;
            };
            // It waits for nothing longer than tests do.
            let status = part.0.wait().unwrap();
            assert!(status.success(), "in a network of its own: {status}");
        }
    }
}

/// This test again, in a network of its own.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing where that is not permitted.
fn part(name: &str, test: &str) -> Option<Part> {
    let probe = "ip link add probe0 type veth peer name probe1 && ip link set lo up";
    let ours = [&["-n"][..], &["-rn"]].into_iter().find(|how| {
        let mut unshare = Command::new("unshare");
        let tried = unshare.args(*how).args(["sh", "-c", probe]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })?;
    let mut unshare = Command::new("unshare");
    unshare.args(ours).arg(std::env::current_exe().unwrap());
    unshare.args(["--exact", "--nocapture", test]);
    unshare.env("FANFARE_FAULTS_PART", name);
    if name == "clients" {
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped());
    }
    Some(Part(unshare.spawn().unwrap()))
}

fn ip(command: &str) {
    let status = Command::new("ip").args(command.split(' ')).status().unwrap();
    assert!(status.success(), "ip {command}");
}

/// The clients at the other end of the cable, as their commander sees them.
struct Far {
    part: Part,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Far {
    fn start(test: &str) -> Self {
        let mut part = part("clients", test).expect("what was possible a moment ago");
        let (say, hear) = (part.0.stdin.take().unwrap(), BufReader::new(part.0.stdout.take().unwrap()));
        let mut far = Self { part, say, hear };
        far.wait("here");
        far
    }

    /// Has something done and waits until it is; gives what is said about it.
    fn order(&mut self, order: &str) -> String {
        writeln!(self.say, "{order}").unwrap();
        self.wait("done")
    }

    fn wait(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.hear.read_line(&mut line).unwrap() > 0, "the clients ended instead of `{word}`");
            if let Some(said) = line.trim().strip_prefix(word) {
                return said.trim().to_owned();
            }
        }
    }
}

/// The part of the clients that vanish: does what it is told, line by line.
fn far() {
    println!("here");
    let mut members: Vec<Member> = Vec::new();
    let (orders, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| orders.send(line))
    });
    loop {
        let order = match lines.recv_timeout(Duration::from_millis(1)) {
            Ok(order) => order,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                members.iter_mut().for_each(|member| member.turn(&mut Vec::new()));
                continue;
            }
            Err(_) => return,
        };
        let said = match order.split_once(' ').unwrap_or((&order, "")) {
            ("ip", command) => {
                ip(command);
                String::new()
            }
            ("join", port) => {
                let token = signed(SECRET, "far", "user", json!({}));
                members.clear();
                for _ in 0..FAR {
                    let stream = std::net::TcpStream::connect(format!("{SERVER}:{port}")).unwrap();
                    members.push(Member::join(Raw::over(stream).upgraded(&token, ""), ROOM));
                    members.iter_mut().for_each(|member| member.turn(&mut Vec::new()));
                }
                String::new()
            }
            ("ended", _) => members.iter().filter(|member| member.ended.is_some()).count().to_string(),
            other => panic!("{other:?}"),
        };
        // The harness writes into the same stream.
        println!("\ndone {said}");
    }
}

/// The part of the server and of the clients that stay.
fn near(driver: &'static str, test: &str) {
    ip("link set lo up");
    let mut far = Far::start(test);
    ip(&format!("link add cable0 type veth peer name cable1 netns {}", far.part.0.id()));
    ip(&format!("addr add {SERVER}/24 dev cable0"));
    ip("link set cable0 up");
    far.order(&format!("ip addr add {CLIENTS}/24 dev cable1"));
    far.order("ip link set cable1 up");
    run(driver, &mut far);
}

fn run(driver: &'static str, far: &mut Far) {
    let server = Server::start(Options {
        driver,
        listen: "0.0.0.0:0",
        config: "[limits]\ncommands_per_minute = 0\n[heartbeat]\ninterval = \"1s\"\ngrace = \"1s\"\n"
            .to_owned(),
        env: vec![("FANFARE_AUTH_SECRET", SECRET.to_owned())],
        ..Options::default()
    });
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    let token = signed(SECRET, "near", "admin", json!({}));
    let stay = |_| Member::join(Raw::connect(&server).upgraded(&token, ""), ROOM);
    let mut fleet = Fleet { members: (0..NEAR).map(stay).collect(), latencies_us: Vec::new() };
    let bearer = format!("Bearer {token}");
    let mut publisher = Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer)]);
    far.order(&format!("join {port}"));
    connections(&server, NEAR + FAR + 1);
    // Those who stay get their messages all the time, whatever happens beside them.
    fleet.while_working(|| {
        std::thread::scope(|scope| {
            let happening = scope.spawn(|| pull(driver, &server, &token, far));
            let mut last = 0;
            let go_on = |_| !happening.is_finished();
            paced_while(go_on, Duration::from_millis(20), |_, due_us| {
                last = publish(&mut publisher, ROOM, due_us, 100);
            });
            happening.join().unwrap();
            last
        })
    });
    fleet.assert_alive();
    eprintln!("{driver}: p99 of those who stayed {:?}", fleet.p99());
}

fn pull(driver: &str, server: &Server, token: &str, far: &mut Far) {
    let everybody = (NEAR + FAR) as u64;
    let descriptors = server.descriptors();
    // As long as they answer, nobody is closed.
    let since = Instant::now();
    eventually("three heartbeats", || {
        assert_eq!(closes(server, 4_007), 0);
        (since.elapsed() >= 3 * INTERVAL).then_some(())
    });
    assert_eq!(members(server, token, ROOM), everybody);

    far.order("ip link set cable1 down");
    let pulled = Instant::now();
    let mut first = None;
    eventually("all that vanished are found", || {
        let found = closes(server, 4_007);
        if found > 0 {
            first.get_or_insert_with(|| pulled.elapsed());
        }
        (found == FAR as u64).then_some(())
    });
    let (first, last) = (first.unwrap(), pulled.elapsed());
    eprintln!("{driver}: the cable was pulled; found after {first:?} to {last:?}");
    // Each was last heard of no longer than an interval (and its quarter) before.
    assert!(first + INTERVAL / 2 >= GRACE, "found after {first:?}, too early");
    assert!(last <= INTERVAL + GRACE + SLACK, "found after {last:?}");
    eventually("their places are free", || (members(server, token, ROOM) == NEAR as u64).then_some(()));
    connections(server, NEAR + 1);
    eventually("no descriptor is lost", || (server.descriptors() + FAR <= descriptors).then_some(()));
    assert_eq!(server.metric("fanfare_backlogs"), 0.0);
    // Each was let go once; the log is read by another thread.
    let let_go = |line: &&str| line.contains("action=\"close\"") && line.contains("user_id=\"far\"");
    eventually("the log of it", || (server.log().lines().filter(let_go).count() >= FAR).then_some(()));
    assert_eq!(server.log().lines().filter(let_go).count(), FAR);

    // The cable is back: they find out, and their places can be taken again.
    far.order("ip link set cable1 up");
    eventually("they find out", || (far.order("ended") == FAR.to_string()).then_some(()));
    let port = server.address.rsplit_once(':').unwrap().1;
    far.order(&format!("join {port}"));
    let since = Instant::now();
    eventually("two heartbeats", || (since.elapsed() >= 2 * INTERVAL).then_some(()));
    assert_eq!(members(server, token, ROOM), everybody);
    assert_eq!(far.order("ended"), "0");
    assert_eq!(closes(server, 4_007), FAR as u64);
}
