//! The paths of nginx's API that concern limits of connections. Where they are documented:
//! <https://nginx.org/en/docs/http/ngx_http_api_module.html>.

use hyper::Method;

use super::{Public, Route, decode, no_query, parameters, unknown_parameter};
use crate::control::refusal::Refusal;

/// What is asked for below `/api/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiRoute {
    /// `GET /api/`: the versions.
    Versions,
    /// `GET /api/9/`: what there is.
    Endpoints,
    /// `GET /api/9/stream/`: what there is.
    StreamEndpoints,
    /// `GET /api/9/stream/limit_conns/[?fields=a,b]`
    Zones {
        /// Only these fields, if any are named. nginx does not mind names that it does not know.
        fields: Option<Vec<String>>,
    },
    /// `GET /api/9/stream/limit_conns/ZONE[?fields=a,b]`
    Zone {
        /// Name as the configuration has it.
        name: String,
        /// As in [`Self::Zones`].
        fields: Option<Vec<String>>,
    },
}

/// The version that is spoken: nginx's latest.
pub const VERSION: u32 = 9;

/// `segments` are those behind `/api`; a list may be asked for without the slash at its end.
pub(super) fn parse(
    method: &Method,
    path: &str,
    segments: &[&str],
    query: &str,
) -> Result<Route, Refusal> {
    if let (&Method::DELETE, ["9", "stream", "limit_conns", name]) = (method, segments)
        && !name.is_empty()
    {
        no_query(query)?;
        let name = decode(name)?;
        return Ok(Route::ResetZone { name });
    }
    let route = read(method, path, segments, query)?;
    Ok(Route::Public(Public::Api(route)))
}

fn read(method: &Method, path: &str, segments: &[&str], query: &str) -> Result<ApiRoute, Refusal> {
    let (version, rest) = match segments {
        [] | [""] => return plain(method, path, query, ApiRoute::Versions),
        [version, rest @ ..] => (*version, rest),
    };
    if version.parse() != Ok(VERSION) {
        return Err(Refusal::unknown_version(version));
    }
    match rest {
        [] | [""] => plain(method, path, query, ApiRoute::Endpoints),
        ["stream"] | ["stream", ""] => plain(method, path, query, ApiRoute::StreamEndpoints),
        ["stream", "limit_conns"] | ["stream", "limit_conns", ""] => {
            only_read(method, path, "GET, HEAD")?;
            let fields = parse_fields(query)?;
            Ok(ApiRoute::Zones { fields })
        }
        ["stream", "limit_conns", name] => {
            only_read(method, path, "GET, HEAD, DELETE")?;
            let fields = parse_fields(query)?;
            let name = decode(name)?;
            Ok(ApiRoute::Zone { name, fields })
        }
        _ => Err(Refusal::unknown_path(path)),
    }
}

fn plain(method: &Method, path: &str, query: &str, route: ApiRoute) -> Result<ApiRoute, Refusal> {
    only_read(method, path, "GET, HEAD")?;
    no_query(query)?;
    Ok(route)
}

/// A HEAD is a GET; hyper leaves the body of the answer out.
pub(super) fn only_read(method: &Method, path: &str, allowed: &'static str) -> Result<(), Refusal> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    Err(Refusal::method_not_allowed(method.as_str(), path, allowed))
}

fn parse_fields(query: &str) -> Result<Option<Vec<String>>, Refusal> {
    let mut fields = None;
    for (name, value) in parameters(query) {
        if name != "fields" {
            return Err(unknown_parameter(&name));
        }
        let names = value.split(',').filter(|name| !name.is_empty());
        fields = Some(names.map(str::to_owned).collect());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, path: &str, query: &str) -> Result<ApiRoute, Refusal> {
        Route::parse(&method, path, query).map(|route| match route {
            Route::Public(Public::Api(route)) => route,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_path_of_nginx_is_understood() {
        let zones = ApiRoute::Zones { fields: None };
        for (path, route) in [
            ("/api", ApiRoute::Versions),
            ("/api/", ApiRoute::Versions),
            ("/api/9", ApiRoute::Endpoints),
            ("/api/9/", ApiRoute::Endpoints),
            ("/api/9/stream/", ApiRoute::StreamEndpoints),
            ("/api/9/stream/limit_conns", zones.clone()),
            ("/api/9/stream/limit_conns/", zones),
        ] {
            assert_eq!(ask(Method::GET, path, "").as_ref(), Ok(&route), "{path}");
            assert_eq!(ask(Method::HEAD, path, "").as_ref(), Ok(&route), "{path}");
            for method in [Method::DELETE, Method::POST, Method::PATCH] {
                let refusal = ask(method, path, "").expect_err(path);
                assert_eq!(
                    (refusal.status.as_u16(), refusal.allow),
                    (405, Some("GET, HEAD"))
                );
            }
        }
    }

    #[test]
    fn a_zone_is_read_in_part_and_reset() {
        let path = "/api/9/stream/limit_conns/per%20addr";
        let name = "per addr".to_owned();
        let of = |fields: Option<&[&str]>| {
            Ok(ApiRoute::Zone {
                name: name.clone(),
                fields: fields.map(|it| it.iter().map(ToString::to_string).collect()),
            })
        };
        assert_eq!(ask(Method::GET, path, ""), of(None));
        assert_eq!(ask(Method::GET, path, "fields="), of(Some(&[])));
        assert_eq!(
            ask(Method::GET, path, "fields=passed,%20x"),
            of(Some(&["passed", " x"]))
        );
        let reset = Route::parse(&Method::DELETE, path, "");
        assert_eq!(reset, Ok(Route::ResetZone { name: name.clone() }));
        let refusal = ask(Method::PUT, path, "").expect_err("PUT");
        assert_eq!(refusal.allow, Some("GET, HEAD, DELETE"));
    }

    #[test]
    fn what_is_wrong_has_nginx_code() {
        for (path, query, status, code) in [
            ("/api/8/stream/limit_conns/", "", 404, "UnknownVersion"),
            ("/api/10/", "", 404, "UnknownVersion"),
            ("/api/9/http/", "", 404, "PathNotFound"),
            ("/api/9/stream/limit_conns/a/b", "", 404, "PathNotFound"),
            ("/api/9/stream/limit_conns/a", "field=x", 400, "BadRequest"),
            ("/api/9/stream/", "fields=x", 400, "BadRequest"),
        ] {
            let refusal = ask(Method::GET, path, query).expect_err(path);
            assert_eq!((refusal.status.as_u16(), refusal.code), (status, code));
        }
    }
}
