//! `limiter import`: what nginx runs with becomes what limiter runs with.

use tests::{
    Limiter, World, limiter, nginx,
    process::{Output, run},
};

use crate::{CLIENT, PORT, SERVER, bad_config::must_say};

/// Something that nginx takes, and half of which can hold in the kernel.
const CONFIGURATION: &str = "
events { }
http {
    access_log off; client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    limit_conn_zone $binary_remote_addr zone=addr:1m;
    limit_conn_zone $http_x_forwarded_for zone=forwarded:1m;
    geo $counted { default 1; 127.0.0.9 0; }
    map $counted $client { 0 ''; 1 $binary_remote_addr; }
    limit_conn_zone $client zone=client:1m;
    limit_conn_status 429;
    include sites/*.conf;
}
";

const SITE: &str = "
server {
    listen 8080 default_server;
    server_name example.com www.example.com;
    limit_conn client 3;
    if ($http_user_agent ~ \"(bot|spider)\") { return 403; }
    location /download/ { limit_conn addr 1; }
    location / { return 200 \"{}\"; }
}
";

fn import(world: &World, text: &str) -> Output {
    let path = world.write("nginx.conf", text);
    let mut command = limiter::command();
    command.arg("import").arg(path);
    run(command, None)
}

fn import_site(world: &World) -> Output {
    std::fs::create_dir(world.path("sites")).expect("make a directory");
    world.write("sites/a.conf", SITE);
    import(world, CONFIGURATION)
}

#[test]
fn what_nginx_takes_is_imported_and_checks() {
    let world = World::new();
    let output = import_site(&world);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    nginx::must_take(&world, &world.path("nginx.conf"));
    assert_eq!(
        output.stderr,
        "limiter: 1 limit in 1 server, with 1 zone; 5 remarks in it"
    );
    let path = world.write("limiter.conf", &output.stdout);
    let mut command = limiter::command();
    command.arg("check").arg(path);
    let check = run(command, None);
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""));
    for line in [
        "limit_conn_zone $binary_remote_addr zone=client:1m",
        "server_name example.com;",
        "listen 8080;",
        "limit_conn client 3;",
        "limit_conn_exempt 127.0.0.9/32;",
    ] {
        assert!(check.stdout.contains(line), "{line}: {}", check.stdout);
    }
    for comment in [
        "# sites/a.conf:7: \"limit_conn addr 1\" in \"location /download/\"",
        "# nginx.conf:7: \"limit_conn_zone $http_x_forwarded_for zone=forwarded\"",
        "# nginx.conf:11: \"limit_conn_status 429\"",
    ] {
        assert!(output.stdout.contains(comment), "{}", output.stdout);
    }
}

#[test]
fn what_is_imported_holds() {
    let world = World::new();
    let text = import_site(&world).stdout;
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, &text);
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    let _exempt = world.open_many("127.0.0.9", server.address(), 5);
    assert_eq!(world.open_at(PORT), 8);
    assert_eq!(limiter.zone("client").connections, 3);
}

#[test]
fn what_cannot_be_read_is_an_error_and_what_limits_nothing_is_none() {
    let world = World::new();
    for (text, words) in [
        (
            "http {\n    limit_conn addr 1\n}",
            ["nginx.conf:2", "\"limit_conn\" is not terminated"],
        ),
        (
            "http {\n    log_format x 'y;\n}",
            ["nginx.conf:2", "missing terminating"],
        ),
    ] {
        let output = import(&world, text);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
        must_say(text, &output.stderr, &words);
    }
    let mut command = limiter::command();
    command.arg("import").arg(world.path("nothing"));
    let output = run(command, None);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    must_say("nothing", &output.stderr, &["cannot open", "nothing"]);

    let output = import(&world, "http { include mime.types; server { listen 80; } }");
    assert_eq!(output.code, Some(0));
    let words = ["\"include mime.types\" was not read", "nothing is limited"];
    must_say("mime.types", &output.stderr, &words);
}
