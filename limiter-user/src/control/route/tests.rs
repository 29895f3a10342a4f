use super::*;

fn get(path: &str, query: &str) -> Result<Route, Refusal> {
    Route::parse(&Method::GET, path, query)
}

#[test]
fn every_path_has_one_method() {
    for path in [
        "/status",
        "/zones",
        "/zones/addr",
        "/connections",
        "/events",
    ] {
        assert!(get(path, "").is_ok(), "GET {path}");
        let refusal = Route::parse(&Method::POST, path, "").expect_err(path);
        assert_eq!(refusal.status, 405, "POST {path}");
    }
    for path in [
        "/dry-run",
        "/log-level",
        "/action",
        "/limit",
        "/exempt",
        "/reload",
        "/reset",
        "/detach",
    ] {
        assert!(Route::parse(&Method::POST, path, "").is_ok(), "POST {path}");
        assert_eq!(get(path, "").expect_err(path).status, 405, "GET {path}");
    }
}

#[test]
fn unknown_paths_are_not_found() {
    for path in ["/", "/nothing", "/zones/", "/zones/a/b", "/status/x"] {
        let refusal = get(path, "").expect_err(path);
        assert_eq!(
            (refusal.status.as_u16(), refusal.code),
            (404, "PathNotFound")
        );
    }
}

#[test]
fn a_zone_name_may_be_escaped() {
    let route = get("/zones/per%20addr%2Fport", "top=3&by=rejected");
    let zone = Route::Zone {
        name: "per addr/port".to_owned(),
        top: Top {
            keys: 3,
            by: TopBy::Rejected,
        },
    };
    assert_eq!(route, Ok(zone));
}

#[test]
fn connections_are_chosen_by_zone_and_key() {
    let route = get("/connections", "zone=addr&key=192.0.2.0%2F24&n=7");
    let wanted = Holders {
        zone: Some("addr".to_owned()),
        key: Some("192.0.2.0/24".to_owned()),
        count: 7,
    };
    assert_eq!(route, Ok(Route::Connections(wanted)));
    for query in ["n=-1", "top=1"] {
        assert_eq!(get("/connections", query).expect_err(query).status, 400);
    }
}

#[test]
fn the_event_filter_is_read_from_the_query() {
    let route = get("/events", "all=1&zone=addr&server=a+b");
    let filter = EventFilter {
        all: true,
        zone: Some("addr".to_owned()),
        server: Some("a b".to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(route, Ok(Route::Events(filter)));
    assert_eq!(
        get("/events", ""),
        Ok(Route::Events(EventFilter::default()))
    );
}

#[test]
fn bad_parameters_are_named() {
    for (path, query, text) in [
        (
            "/zones/addr",
            "top=many",
            "parameter top: \"many\" is not a number",
        ),
        (
            "/zones/addr",
            "top=-1",
            "parameter top: \"-1\" is not a number",
        ),
        ("/zones/addr", "tops=1", "unknown parameter \"tops\""),
        (
            "/zones/addr",
            "by=age",
            "parameter by: \"age\" is neither connections nor rejected",
        ),
        (
            "/events",
            "all=maybe",
            "parameter all: \"maybe\" is neither 1 nor 0",
        ),
        ("/status", "verbose=1", "unknown parameter \"verbose\""),
    ] {
        let refusal = get(path, query).expect_err(query);
        assert_eq!(
            (refusal.status.as_u16(), refusal.text.as_str()),
            (400, text)
        );
    }
    assert_eq!(get("/zones/%ff", "").expect_err("not UTF-8").status, 400);
}
