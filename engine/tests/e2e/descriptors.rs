//! Out of file descriptors: accepting pauses and recovers, and who is connected does not notice.

use std::net::TcpStream;

use serde_json::json;

use crate::support::{Client, Options, Server, eventually};

#[test]
fn out_of_descriptors_nobody_connected_notices_and_later_ones_get_in() {
    for driver in ["uring", "epoll"] {
        let server =
            Server::start(Options { driver, shards: 1, descriptors: Some(64), ..Options::default() });
        let mut member = Client::join_server(&server, "ada", "user");
        member.join("room:1");
        let before = server.descriptors();
        let flood: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
        eventually("the descriptors run out", || server.log().contains("cannot accept").then_some(()));
        for n in 1..=20 {
            assert_eq!(member.publish("room:1", json!(n)), n);
        }
        drop(flood);
        let mut late = eventually("somebody new gets in", || {
            let token = crate::support::token("bob", "user", json!({}));
            let headers = [("authorization", format!("Bearer {token}"))];
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Client::connect(&server, "/v1/ws", &headers).ok()
        });
        late.expect("welcome");
        late.join("room:1");
        drop(late);
        eventually("no descriptor is lost", || (server.descriptors() <= before).then_some(()));
        assert_eq!(server.metric("fanfare_panics_total"), 0.0);
    }
}
