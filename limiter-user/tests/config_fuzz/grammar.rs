//! Configurations made by the grammar: mostly right, with values at and beyond their bounds.

use crate::random::Random;

const KEYS: [&str; 9] = [
    "$binary_remote_addr",
    "$remote_addr",
    "$server_addr",
    "${server_port}",
    "$server_name",
    "$protocol",
    "\"$server_addr $server_port\"",
    "all",
    "''",
];
const SIZES: [&str; 6] = ["32k", "1m", "10M", "4g", "32768", "65537"];
const NUMBERS: [&str; 5] = ["1", "20", "500", "65535", "007"];
const NETWORKS: [&str; 12] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.7",
    "0.0.0.0/0",
    "::/0",
    "::ffff:0:0/96",
    "::ffff:192.0.2.0/120",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "fe80::1",
    "::",
    "255.255.255.255/32",
];
const ADDRESSES: [&str; 8] = [
    "",
    "*:",
    "0.0.0.0:",
    "[::]:",
    "192.0.2.1:",
    "127.0.0.1:",
    "[2001:db8::1]:",
    "[::ffff:192.0.2.9]:",
];
const LEVELS: [&str; 5] = ["info", "notice", "warn", "error", "ERROR"];
const DELAYS: [&str; 7] = ["0", "1", "500ms", "1m30s", "1h", "60m", "0s"];
const PATHS: [&str; 5] = [
    "/run/limiter/c.sock",
    "'/var/log/with blank'",
    "/sys/fs/cgroup/a\\x2db.service",
    "\"/q\\\"\\\\\"",
    "/ü",
];
const NAMES: [&str; 6] = ["addr", "net", "'per server'", "\"{}\"", "a;b", "ü#"];
const FILES: [&str; 7] = [
    "zone.conf",
    "conf.d/*.conf",
    "limit.conf",
    "none*/x",
    "[!z]*.conf",
    "three.conf",
    "sub",
];
/// What is wrong almost everywhere.
const WRONG: [&str; 22] = [
    "",
    "''",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "443-1",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "::/129",
    "[::1",
    "delay=",
    "zone=",
    "$nothing",
    "${",
    "1.5m",
    "on off",
    "{",
    "}",
    "\"",
    "interface eth0 mode=fast",
    "\u{7f}\u{202e}",
];

/// A configuration. One in three has wrong words in it.
pub fn configuration(random: &mut Random) -> String {
    let wrong = random.once_in(3);
    let mut text = Text {
        wrong,
        random,
        text: String::new(),
        zones: Vec::new(),
        next_port: 1,
    };
    text.main();
    text.text
}

struct Text<'a> {
    random: &'a mut Random,
    wrong: bool,
    text: String,
    zones: Vec<String>,
    next_port: u16,
}

impl Text<'_> {
    fn main(&mut self) {
        for _ in 0..self.random.below(3) {
            self.of_the_host();
        }
        let stream = self.random.once_in(3);
        if stream {
            self.text.push_str("stream{\n");
        }
        for _ in 0..1 + self.random.below(4) {
            self.zone();
        }
        self.level(true);
        for _ in 0..self.random.below(4) {
            self.text.push_str("server {");
            if self.random.once_in(2) {
                let name = format!("s{}", self.next_port);
                self.line("server_name", &[&name]);
            }
            for _ in 0..self.random.below(4) {
                self.listen();
            }
            self.level(false);
            self.text.push_str("}\n");
        }
        if stream {
            self.text.push('}');
        }
    }

    /// What may stand in the main context only. Twice of the same is wrong, and mostly avoided.
    fn of_the_host(&mut self) {
        let path = self.random.one_of(&PATHS);
        match self.random.below(8) {
            0 => {
                let level = self.random.one_of(&LEVELS);
                let target = self.random.one_of(&["stderr", "journal", path]);
                let format = self.random.one_of(&["format=text", "format=json"]);
                match self.random.below(3) {
                    0 => self.line("error_log", &[target, level, format]),
                    1 => self.line("error_log", &[target, format]),
                    _ => self.line("error_log", &[target, level]),
                }
            }
            1 => {
                let group = self.random.one_of(&["group=0", "group=root", "group=4711"]);
                let others = self.random.one_of(&["others=read", "others=nothing"]);
                let words = [path, group, others];
                let count = 1 + self.random.below(3);
                self.line("control", &words[..count]);
            }
            2 => self.line("attach", &["cgroup", path]),
            3 => {
                let mode = self
                    .random
                    .one_of(&["mode=auto", "mode=native", "mode=generic"]);
                let name = format!("eth{}", self.random.below(99));
                self.line("attach", &["interface", &name, mode]);
            }
            4 => {
                let address = self.random.one_of(&ADDRESSES);
                let port = 9000 + self.random.below(999);
                self.line("metrics", &[&format!("{address}{port}")]);
            }
            5 => {
                let number = self.random.below(1001).to_string();
                self.line("metrics_top", &[&number]);
            }
            6 => {
                let switch = self.random.one_of(&["on", "off"]);
                self.line("metrics_run_time", &[switch]);
            }
            _ => {
                let file = self.random.one_of(&FILES);
                self.line("include", &[file]);
            }
        }
    }

    fn zone(&mut self) {
        let number = self.zones.len();
        let name = format!("{}{number}", self.random.one_of(&["z", "zone-", "ü"]));
        let key = self.random.one_of(&KEYS);
        let size = self.random.one_of(&SIZES);
        let mut words = vec![key.to_owned(), format!("zone={name}:{size}")];
        if key.contains("remote_addr") {
            if self.random.once_in(2) {
                words.push(format!("v4_prefix={}", self.random.below(33)));
            }
            if self.random.once_in(2) {
                words.push(format!("v6_prefix={}", self.random.below(129)));
            }
            self.zones.push(name);
        } else {
            // Overrides are for zones with the client address.
            self.zones.insert(0, name);
        }
        if self.random.once_in(3) {
            words.push(
                self.random
                    .one_of(&["on_full=evict", "on_full=reject"])
                    .to_owned(),
            );
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.line("limit_conn_zone", &words);
    }

    fn listen(&mut self) {
        let address = self.random.one_of(&ADDRESSES);
        let first = self.next_port;
        let last = first + u16::try_from(self.random.below(3)).unwrap_or(0);
        self.next_port = last + 1;
        let endpoint = match last - first {
            0 => format!("{address}{first}"),
            _ => format!("{address}{first}-{last}"),
        };
        self.line("listen", &[&endpoint]);
    }

    fn level(&mut self, main: bool) {
        let zones = self.zones.clone();
        let no_overrides = self.random.once_in(6);
        if no_overrides {
            let off = self.random.one_of(&["off", "Off"]);
            self.line("limit_conn_override", &[off]);
        }
        for zone in &zones {
            if self.random.once_in(if main { 3 } else { 2 }) {
                let number = self.random.one_of(&NUMBERS);
                self.line("limit_conn", &[zone, number]);
                // The last zone counts by client, if one does.
                if Some(zone) == zones.last() && !no_overrides && self.random.once_in(2) {
                    let network = self.random.one_of(&NETWORKS);
                    self.line("limit_conn_override", &[zone, network, number]);
                }
            }
        }
        if self.random.once_in(3) {
            let first = self.random.below(NETWORKS.len() - 2);
            let networks = &NETWORKS[first..first + 1 + self.random.below(2)];
            self.line("limit_conn_exempt", networks);
        }
        if self.random.once_in(4) {
            let on = self.random.one_of(&["on", "off", "ON"]);
            self.line("limit_conn_dry_run", &[on]);
        }
        if self.random.once_in(4) {
            let level = self.random.one_of(&LEVELS);
            self.line("limit_conn_log_level", &[level]);
        }
        if self.random.once_in(4) {
            let delay = format!("delay={}", self.random.one_of(&DELAYS));
            match self.random.below(3) {
                0 => self.line("limit_conn_action", &["drop"]),
                1 => self.line("limit_conn_action", &["reset"]),
                _ => self.line("limit_conn_action", &["close", &delay]),
            }
        }
        if self.random.once_in(12) {
            self.line("include", &["limit.conf"]);
        }
    }

    /// One directive, with what may stand between words.
    fn line(&mut self, name: &str, words: &[&str]) {
        self.text.push_str(name);
        for word in words {
            let blank = self
                .random
                .one_of(&[" ", " ", "  ", "\t", "\r\n  ", " # why\n "]);
            self.text.push_str(blank);
            if self.wrong && self.random.once_in(12) {
                let wrong = self.random.below(WRONG.len() + NAMES.len());
                let wrong = WRONG.iter().chain(&NAMES).nth(wrong);
                self.text.push_str(wrong.copied().unwrap_or_default());
            } else if word.contains(['\'', '"', '\\']) || !self.random.once_in(8) {
                self.text.push_str(word);
            } else {
                let quote = self.random.one_of(&['"', '\'']);
                self.text
                    .extend([&quote.to_string(), *word, &quote.to_string()]);
            }
        }
        let end = self
            .random
            .one_of(&[";", " ;", ";\n", "; ", ";\r\n", "; # so\n"]);
        self.text.push_str(end);
    }
}
