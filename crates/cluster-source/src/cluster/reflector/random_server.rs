//! A reflector against an API server that responds at random: correctly, incorrectly, from an outdated cache, or with an error, and that is
//! restored from backups. Within a bounded number of correct responses, what the reflector has emitted equals the objects of the server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proxy::model::Service;

use super::super::api_status::ApiStatus;
use super::super::decode;
use super::super::kind::Services;
use super::*;

/// The number of requests with faults.
const WITH_FAULTS: usize = 60;
/// The number of requests without faults after them: enough for a verification, three lists in pages until one is believed, and a watch.
const WITHOUT_FAULTS: usize = 40;
/// The number of objects in a page, so that lists have several pages.
const PAGE: usize = 3;
/// As `default/kubernetes`, one object always exists.
const ANCHOR: &str = "kubernetes";

struct Random(u64);

impl Random {
    /// Less than `limit`, by xorshift.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// The objects at a resource version, with their own version and address.
#[derive(Debug, Clone)]
struct Contents {
    version: u64,
    objects: BTreeMap<String, (u64, u8)>,
}

struct Server {
    now: Contents,
    backup: Contents,
    /// The contents of an outdated cache.
    cache: Contents,
    /// The events since `oldest`: an object, or its deletion.
    log: Vec<(u64, String, Option<u8>)>,
    oldest: u64,
    /// The pages that follow a token.
    pages: Option<(String, Contents, Vec<String>)>,
}

fn service(name: &str, version: u64, address: u8) -> Object<Service> {
    let text = format!(
        r#"{{"type": "ADDED", "object": {{"metadata": {{"namespace": "ns", "name": "{name}", "resourceVersion": "{version}"}},
        "spec": {{"clusterIP": "10.0.0.{address}"}}}}}}"#
    );
    match decode::event::<Services>(text.as_bytes()).unwrap() {
        Event::Applied(object) => object,
        other => panic!("{other:?}"),
    }
}

fn api(code: u16, version_unknown: bool) -> RequestError {
    RequestError::Api(ApiStatus { code, version_unknown, ..ApiStatus::default() })
}

impl Server {
    fn new() -> Self {
        let now = Contents { version: 10, objects: BTreeMap::from([(ANCHOR.to_owned(), (10, 1))]) };
        Self { backup: now.clone(), cache: now.clone(), now, log: Vec::new(), oldest: 10, pages: None }
    }

    /// Changes an object, but not the one of this name.
    fn change(&mut self, random: &mut Random, spared: Option<&str>) {
        let name = format!("s{}", random.below(8));
        if spared == Some(&name) {
            return;
        }
        self.now.version += 1;
        let version = self.now.version;
        let address = u8::try_from(2 + random.below(200)).unwrap();
        if random.below(3) == 0 && self.now.objects.remove(&name).is_some() {
            self.log.push((version, name, None));
        } else {
            self.now.objects.insert(name.clone(), (version, address));
            self.log.push((version, name, Some(address)));
        }
    }

    /// Continues from the backup.
    fn restore(&mut self) {
        self.now = self.backup.clone();
        self.cache = self.now.clone();
        self.log.retain(|(version, ..)| *version <= self.now.version);
        self.oldest = self.oldest.min(self.now.version);
        self.pages = None;
    }

    fn page(&mut self, contents: Contents, mut names: Vec<String>) -> Page<Service> {
        let rest = names.split_off(names.len().min(PAGE));
        let objects = names.iter().map(|name| {
            let (version, address) = contents.objects[name];
            service(name, version, address)
        });
        let (objects, version) = (objects.collect(), contents.version);
        let next = (!rest.is_empty()).then(|| format!("{version}-{}", rest.len()));
        self.pages = next.clone().map(|token| (token, contents, rest));
        Page { objects, bytes: 1000, resource_version: version.to_string(), next }
    }

    fn events(&self, since: u64) -> Vec<Event<Service>> {
        let event = |(version, name, address): &(u64, String, Option<u8>)| match address {
            Some(address) => Event::Applied(service(name, *version, *address)),
            None => Event::Deleted(service(name, *version, 1).identity),
        };
        self.log.iter().filter(|(version, ..)| *version > since).map(event).collect()
    }
}

fn bookmark(version: u64, initial_events_end: bool) -> Event<Service> {
    Event::Bookmark { resource_version: version.to_string(), initial_events_end }
}

/// A server, a reflector, and what it has emitted.
struct World {
    random: Random,
    server: Server,
    reflector: Reflector<Services>,
    emitted: BTreeMap<String, IpAddr>,
    /// Whether the reflector continues from a version of a history that a restore has ended.
    ended: bool,
}

impl World {
    fn emit(&mut self, changes: Vec<Change>) {
        let entry = |service: Service| (service.name.name.to_string(), service.cluster_ips[0]);
        for change in changes {
            match change {
                Change::ResetServices(all) => self.emitted = all.into_iter().map(entry).collect(),
                Change::ApplyService(service) => self.emitted.extend([entry(service)]),
                Change::DeleteService(name) => drop(self.emitted.remove(name.name.as_str())),
                other => panic!("{other:?}"),
            }
        }
    }

    fn take(&mut self, result: Result<Vec<Change>, RequestError>) -> bool {
        match result {
            Ok(changes) => self.emit(changes),
            Err(error) => {
                self.reflector.on_error(&error);
                return false;
            }
        }
        true
    }

    /// Events, and then the end of the response.
    fn stream(&mut self, events: Vec<Event<Service>>, end: Option<RequestError>) {
        let received = !events.is_empty();
        for event in events {
            let result = self.reflector.on_event(event);
            if !self.take(result) {
                return;
            }
        }
        match end {
            Some(error) => drop(self.reflector.on_error(&error)),
            None => self.reflector.on_end(received),
        }
    }

    /// Responds to the next request with the objects of the server, or of its cache.
    fn answer(&mut self, lagging: bool, end: Option<RequestError>) {
        let contents = if lagging { self.server.cache.clone() } else { self.server.now.clone() };
        let names: Vec<String> = contents.objects.keys().cloned().collect();
        match self.reflector.request() {
            Request::StreamList => {
                let all =
                    contents.objects.iter().map(|(name, (version, ip))| Event::Applied(service(name, *version, *ip)));
                let mut events: Vec<_> = all.chain([bookmark(contents.version, true)]).collect();
                if end.is_some() {
                    events.truncate(self.cut(events.len()));
                }
                self.stream(events, end);
            }
            Request::List { next: None, .. } => {
                let page = self.server.page(contents, names);
                let result = self.reflector.on_page(page);
                self.take(result);
            }
            Request::List { next: Some(token), .. } => match self.server.pages.take() {
                Some((known, contents, names)) if known == token => {
                    let page = self.server.page(contents, names);
                    let result = self.reflector.on_page(page);
                    self.take(result);
                }
                _ => drop(self.reflector.on_error(&api(410, false))),
            },
            Request::Verify { resource_version, .. }
                if resource_version.parse::<u64>().unwrap() > self.server.now.version =>
            {
                self.reflector.on_error(&api(504, true));
            }
            Request::Verify { object, .. } => {
                let name = object.as_ref().map(|(_, name)| name.as_str());
                let objects =
                    contents.objects.iter().filter(|(found, _)| name.is_none_or(|name| name == *found)).take(1);
                let objects = objects.map(|(name, (version, address))| service(name, *version, *address)).collect();
                let version = contents.version.to_string();
                let result =
                    self.reflector.on_verified(&Page { objects, bytes: 100, resource_version: version, next: None });
                self.take(result.map(|()| Vec::new()));
            }
            Request::Watch(version) => {
                let version: u64 = version.parse().unwrap();
                if version < self.server.oldest {
                    self.reflector.on_error(&api(410, false));
                } else if version > self.server.now.version {
                    self.stream(Vec::new(), None);
                } else {
                    let mut events = self.server.events(version);
                    events.push(bookmark(self.server.now.version, false));
                    if end.is_some() {
                        events.truncate(self.cut(events.len()));
                    }
                    self.stream(events, end);
                }
            }
        }
    }

    fn cut(&mut self, len: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(len).unwrap() + 1)).unwrap()
    }

    fn error(&mut self) -> RequestError {
        const CODES: [u16; 10] = [400, 401, 403, 404, 410, 422, 429, 500, 503, 504];
        match self.random.below(6) {
            0 => RequestError::ConnectionLost("lost".into()),
            1 => RequestError::Timeout,
            2 => DecodeError::new("garbage", b"<html>").into(),
            3 => RequestError::ListEnded,
            _ => match api(CODES[self.cut(CODES.len() - 1)], false) {
                // Without its name, the object that shows the other history is not verified.
                error if self.ended && error.may_lack_path() => RequestError::Timeout,
                error => error,
            },
        }
    }

    /// Some changes. If the reflector continues from an ended history, they let the new one pass its version only if the object that changed last
    /// shows the difference, and keep that object: otherwise, nothing shows it.
    fn change(&mut self, most: u64) {
        self.ended &= self.reflector.is_complete();
        let newest = self.reflector.newest.clone().filter(|_| self.ended);
        let name = newest.as_ref().and_then(Newest::name).map(|(_, name)| name);
        if let Some(newest) = newest {
            let listed = self.server.now.objects.iter().filter(|(found, _)| name.as_ref() == Some(found));
            let listed: Vec<_> = listed.map(|(name, (version, address))| service(name, *version, *address)).collect();
            if !newest.contradicts(&listed, &self.version().to_string()) {
                return;
            }
        }
        for _ in 0..self.random.below(most) {
            self.server.change(&mut self.random, name.as_deref());
        }
    }

    /// The version that the reflector continues from, or 0.
    fn version(&self) -> u64 {
        match &self.reflector.state {
            State::Watching { resource_version, .. } => resource_version.parse().unwrap(),
            _ => 0,
        }
    }

    /// The server has restarted with the backup, so connections have broken. It may be changed much before the reflector reaches it.
    fn restore(&mut self) {
        self.server.restore();
        self.ended |= self.version() > self.server.now.version;
        self.reflector.on_error(&RequestError::ConnectionLost("lost".into()));
        self.change(100);
    }

    fn answer_with_faults(&mut self) {
        self.change(4);
        match self.random.below(24) {
            0 => self.server.backup = self.server.now.clone(),
            1 => self.restore(),
            2 | 3 => self.server.cache = self.server.now.clone(),
            4 => {
                self.server.oldest = self.server.now.version;
                self.server.log.clear();
            }
            _ => {}
        }
        let lists = matches!(self.reflector.request(), Request::StreamList | Request::List { next: None, .. });
        match self.random.below(10) {
            0 | 1 => {
                let error = self.error();
                self.reflector.on_error(&error);
            }
            2 | 3 => {
                let end = self.error();
                self.answer(false, Some(end));
            }
            4 => self.answer(true, None),
            // A proxy responds in place of the server. A second such list in a row would be believed.
            5 if lists && !self.reflector.is_unconfirmed() => {
                let empty = Contents { version: self.server.now.version, objects: BTreeMap::new() };
                let page = self.server.page(empty, Vec::new());
                let result = self.reflector.on_page(page);
                self.take(result);
            }
            6 => self.stream(Vec::new(), None),
            7 if !lists => {
                self.reflector.on_error(&RequestError::Silent(Duration::from_secs(200)));
            }
            _ => self.answer(false, None),
        }
    }
}

#[test]
fn what_was_emitted_equals_the_objects_after_correct_responses() {
    for seed in 1..=500 {
        let mut world = World {
            random: Random(0x9e37_79b9_7f4a_7c15 ^ seed),
            server: Server::new(),
            reflector: Reflector::new("n", seed % 2 == 0),
            emitted: BTreeMap::new(),
            ended: false,
        };
        (0..WITH_FAULTS).for_each(|_| world.answer_with_faults());
        (0..WITHOUT_FAULTS).for_each(|_| world.answer(false, None));
        let objects = world.server.now.objects.iter();
        let objects = objects.map(|(name, (_, ip))| (name.clone(), IpAddr::from([10, 0, 0, *ip]))).collect();
        assert_eq!((world.reflector.is_complete(), world.emitted), (true, objects), "seed {seed}");
    }
}
