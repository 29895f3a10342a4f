//! What can be wrong in a file.

const GOOD: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;\n";

pub(super) struct Case {
    /// What is wrong.
    pub(super) title: &'static str,
    /// The file. What is wrong stands on line 2.
    pub(super) text: String,
    /// What the message has to contain.
    pub(super) words: &'static [&'static str],
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "unknown directive",
            "limit_con addr 10;",
            &["unknown", "directive", "\"limit_con\""],
        ),
        case(
            "missing semicolon",
            "limit_conn addr 10",
            &["limit_conn", "\";\""],
        ),
        case(
            "missing semicolon before the next directive",
            "limit_conn addr 10\nlimit_conn_dry_run on;",
            &["limit_conn"],
        ),
        case(
            "duplicate zone",
            "limit_conn_zone $server_name zone=addr:1m;",
            &["\"addr\"", "already"],
        ),
        case(
            "unknown zone in limit_conn",
            "limit_conn adr 10;",
            &["zone", "\"adr\""],
        ),
        case("number 0", "limit_conn addr 0;", &["number", "\"0\""]),
        case(
            "not a number",
            "limit_conn addr ten;",
            &["number", "\"ten\""],
        ),
        case(
            "a number too large",
            "limit_conn addr 65536;",
            &["65536", "65535"],
        ),
        case(
            "zone too small",
            "limit_conn_zone $server_name zone=tiny:16k;",
            &["\"tiny\"", "too", "small"],
        ),
        case(
            "zone without a size",
            "limit_conn_zone $server_name zone=tiny;",
            &["zone=tiny"],
        ),
        case(
            "a prefix longer than an address",
            "limit_conn_zone $remote_addr zone=net:1m v4_prefix=33;",
            &["prefix", "\"33\"", "0 to 32"],
        ),
        case(
            "a prefix of a key without an address",
            "limit_conn_zone $server_port zone=port:1m v6_prefix=64;",
            &["prefix", "client address", "\"$server_port\""],
        ),
        case(
            "an unknown way to be full",
            "limit_conn_zone $remote_addr zone=net:1m on_full=drop;",
            &["\"on_full=drop\"", "\"reject\"", "\"evict\""],
        ),
        case(
            "a network with host bits",
            "limit_conn_exempt 10.1.2.3/8;",
            &["\"10.1.2.3/8\"", "did you mean", "\"10.0.0.0/8\""],
        ),
        case(
            "a network that is exempt twice",
            "limit_conn_exempt 192.0.2.1 ::ffff:192.0.2.1;",
            &["\"192.0.2.1/32\"", "already exempt"],
        ),
        case(
            "an override without a limit",
            "limit_conn_override addr 10.0.0.0/8 5;",
            &["limit_conn_override", "\"addr\"", "without \"limit_conn\""],
        ),
        case(
            "an override beside none at all",
            "limit_conn addr 1; limit_conn_override off; limit_conn_override addr ::1 5;",
            &["\"limit_conn_override off\"", "stand alone"],
        ),
        case(
            "a directive for real addresses behind a proxy",
            "set_real_ip_from 10.0.0.0/8;",
            &["set_real_ip_from", "not supported", "proxy"],
        ),
        case(
            "unknown variable",
            "limit_conn_zone $remote_adr zone=other:1m;",
            &["unknown", "variable", "remote_adr"],
        ),
        case(
            "port out of range",
            "server { listen 65536; limit_conn addr 1; }",
            &["port", "65536"],
        ),
        case(
            "port 0",
            "server { listen 0; limit_conn addr 1; }",
            &["port", "\"0\""],
        ),
        case(
            "a block that is not closed",
            "server { listen 80; limit_conn addr 1;",
            &["\"}\""],
        ),
        case(
            "an include of a file that does not exist",
            "include nothing-here.conf;",
            &["nothing-here.conf"],
        ),
        case(
            "a directive in the wrong place",
            "server { listen 80; limit_conn_zone $server_name zone=other:1m; }",
            &["limit_conn_zone", "not", "allowed"],
        ),
        case(
            "a word that is neither on nor off",
            "limit_conn_dry_run perhaps;",
            &["\"perhaps\"", "\"on\"", "\"off\""],
        ),
        case(
            "an unknown log level",
            "limit_conn_log_level loud;",
            &["\"loud\""],
        ),
        case(
            "an unknown action",
            "limit_conn_action ban;",
            &["\"ban\"", "\"drop\"", "\"reset\"", "\"close\""],
        ),
        case(
            "a delay without a connection to close",
            "limit_conn_action reset delay=1s;",
            &["\"delay=1s\"", "\"reset\"", "only", "\"close\""],
        ),
        case(
            "a delay that is no time",
            "limit_conn_action close delay=soon;",
            &["delay", "\"delay=soon\"", "1m30s"],
        ),
        case(
            "a delay too long",
            "limit_conn_action close delay=2h;",
            &["delay", "\"delay=2h\"", "at most 1h"],
        ),
        case(
            "an action that stands twice",
            "limit_conn_action drop; limit_conn_action reset;",
            &["\"limit_conn_action\"", "duplicate"],
        ),
        case(
            "something else to attach to",
            "attach device eth0;",
            &["\"device\"", "\"cgroup\"", "\"interface\""],
        ),
        case(
            "an interface that cannot be",
            "attach interface eth0/1;",
            &["interface", "\"eth0/1\"", "15 bytes"],
        ),
        case(
            "an unknown mode",
            "attach interface eth0 mode=fast;",
            &["fast", "\"auto\"", "\"native\"", "\"generic\""],
        ),
        case(
            "an unknown parameter of an interface",
            "attach interface eth0 queue=1;",
            &["\"queue=1\"", "mode=auto|native|generic"],
        ),
        case(
            "an interface that stands twice",
            "attach interface eth0; attach interface eth0 mode=native;",
            &["\"attach\"", "duplicate"],
        ),
        case(
            "a directive of the http module",
            "limit_conn_status 503;",
            &["limit_conn_status"],
        ),
    ]
}

fn case(title: &'static str, second_line: &str, words: &'static [&'static str]) -> Case {
    Case {
        title,
        text: format!("{GOOD}{second_line}\n"),
        words,
    }
}
