//! Gantral stopped, though the proxy before a service asks it; and taken out of the proxy.

use super::authz::{Asked, GRPC, caddy, envoy};
use super::*;

/// Waits until the place answers, and sends what must be asked for.
fn delete(shop: &Shop) -> Got {
    shop.curl("DELETE", "/orders/7", &[])
}

#[test]
fn proxy_that_reaches_no_gantral_sends_nothing_and_without_the_proxy_clients_go_on() {
    let mut shop = Shop::open(&[]);
    shop.world.kill_server();
    let problem = delete(&shop).problem(503, "gantral_unreachable");
    assert_eq!(problem["executed"], false, "{problem}");
    shop.kill_proxy();
    assert!(TcpStream::connect(shop.url.trim_start_matches("http://")).is_err(), "nobody stands in for it");
    assert_eq!(shop.ledger(), "");
    shop.front = format!("http://127.0.0.1:{}", shop.service_port);
    assert_eq!(delete(&shop).status / 100, 2);
    assert_eq!(shop.ledger().lines().count(), 1);
}

/// A proxy of others with the question to Gantral in its configuration, and the same without.
type Others = (&'static str, fn(&Shop, &str) -> Killed, fn(&Shop, &str) -> Killed, u16);

fn asking_envoy(shop: &Shop, port: &str) -> Killed {
    envoy(shop, port, &GRPC, true)
}

fn plain_envoy(shop: &Shop, port: &str) -> Killed {
    envoy(shop, port, &GRPC, false)
}

fn asking_caddy(shop: &Shop, port: &str) -> Killed {
    caddy(shop, port, true)
}

fn plain_caddy(shop: &Shop, port: &str) -> Killed {
    caddy(shop, port, false)
}

#[test]
fn proxies_of_others_send_nothing_on_without_gantral_and_everything_once_it_is_out_of_their_configuration() {
    let others: [Others; 2] =
        [("Envoy", asking_envoy, plain_envoy, 403), ("Caddy", asking_caddy, plain_caddy, 502)];
    for (name, asking, plain, gone) in others {
        let mut asked = Asked::behind(asking, &[]);
        asked.shop.world.kill_server();
        delete(&asked.shop).problem(503, "gantral_unreachable");
        asked.shop.kill_proxy();
        assert_eq!(delete(&asked.shop).status, gone, "{name}");
        assert_eq!(asked.shop.ledger(), "", "{name}");
        asked.replace(plain);
        assert_eq!(delete(&asked.shop).status / 100, 2, "{name}");
        assert_eq!(asked.shop.ledger().lines().count(), 1, "{name}");
    }
}
