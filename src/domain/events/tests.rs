use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::deploy::{EventKind, sample};
use crate::domain::fleet::{Role, Target};
use crate::domain::function::AccountId;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn function(text: &str) -> FunctionRef {
    FunctionRef::parse(text).unwrap()
}

fn refused(event: Value) -> String {
    LambdaEvent::parse(&event).unwrap_err().to_string()
}

#[test]
fn a_request_has_at_least_a_function_and_a_number() {
    let event = json!({
        "source": "shop", "detail-type": "Warm Request", "detail": { "function": "nlp", "concurrency": 1 },
    });
    assert_eq!(
        LambdaEvent::parse(&event),
        Ok(LambdaEvent::Request(WarmRequest {
            id: None,
            at: None,
            subject: Subject::Function(function("nlp"), Need::Environments(1)),
            region: None,
            keep_for: None,
            reason: None,
        }))
    );
}

#[test]
fn a_backlog_takes_the_place_of_a_number() {
    let parse = |detail: Value| {
        let event = json!({ "source": "shop", "detail-type": "Warm Request", "detail": detail });
        let LambdaEvent::Request(request) = LambdaEvent::parse(&event).unwrap() else { panic!() };
        request.subject
    };
    let backlog = Backlog {
        messages: 90_000,
        rate: 300.into(),
        drain: Duration::from_secs(10),
        hold_for: Some(Duration::from_secs(120)),
    };
    assert_eq!(backlog.environments(), 30);
    let detail =
        json!({ "function": "nlp", "backlog": 90_000, "rate": 300, "drain": "10s", "hold_for": "2m" });
    assert_eq!(parse(detail.clone()), Subject::Function(function("nlp"), Need::Backlog(backlog.clone())));
    let event = json!({ "warmd": { "warm": detail } });
    let LambdaEvent::Warm(warm) = LambdaEvent::parse(&event).unwrap() else { panic!() };
    assert_eq!(warm.need, DirectNeed::Given(Need::Backlog(backlog.clone())));
    let rate = |rate: Value| match parse(
        json!({ "function": "nlp", "backlog": u32::MAX, "rate": rate, "drain": "1d" }),
    ) {
        Subject::Function(_, Need::Backlog(backlog)) => (backlog.rate.to_string(), backlog.environments()),
        subject => panic!("{subject:?}"),
    };
    assert_eq!(rate(json!(2.5)), ("2.5".to_owned(), 19_885));
    assert_eq!(rate(json!(0.1)), ("0.1".to_owned(), 497_103));
    assert_eq!(rate(json!(0.001)), ("0.001".to_owned(), 49_710_270));
    assert_eq!(rate(json!(1_000_000)), ("1000000".to_owned(), 1));
    let ended = json!({ "function": "nlp", "backlog": 0, "rate": 0.001, "drain": "1ms" });
    let Subject::Function(_, need) = parse(ended) else { panic!() };
    assert_eq!(need.environments(), 0);
    assert_eq!(
        parse(json!({ "pipeline": "nlp", "backlog": 0, "drain": "10s" })),
        Subject::Pipeline {
            name: "nlp".to_owned(),
            messages: 0,
            drain: Some(Duration::from_secs(10)),
            hold_for: None,
        }
    );
}

#[test]
fn every_mistake_in_a_backlog_is_reported() {
    let request = |detail: Value| {
        let event = json!({ "source": "shop", "detail-type": "Warm Request", "detail": detail });
        refused(event).replace("this event is not served, and nothing was sent: Warm Request: ", "")
    };
    let warm = |warm: Value| {
        let event = json!({ "warmd": { "warm": warm } });
        refused(event).replace("this event is not served, and nothing was sent: ", "")
    };
    let errors = [
        request(json!({ "function": "f", "concurrency": 5, "backlog": 1 })),
        request(json!({ "function": "f", "backlog": -1, "rate": 0, "drain": "25h", "hold_for": "0s" })),
        request(json!({ "function": "f", "backlog": 4_294_967_296_u64, "rate": "300", "drain": 10 })),
        request(json!({ "function": "f", "backlog": 1.5, "rate": 1e300, "drain": "0s" })),
        request(json!({ "function": "f", "backlog": 1, "rate": -0.5, "drain": "1d", "for": "5m" })),
        request(json!({ "function": "f", "rate": 1e-29, "drain": "1s", "drian": "1s" })),
        request(json!({ "function": "f", "backlog": 0, "rate": 1e-28, "drain": "1ms" })),
        request(json!({ "function": "f", "backlog": 1, "rate": 1_000_000.5, "drain": "1s" })),
        request(json!({ "pipeline": "p", "function": "f", "backlog": 1, "rate": 1, "concurrency": 1 })),
        request(json!({ "pipeline": "a\nb", "for": "5m" })),
        request(json!({ "pipeline": 7, "backlog": 1 })),
        warm(json!({ "function": "f", "concurrency": 5, "hold_for": "5m" })),
        warm(json!({ "pipeline": "p", "backlog": 1, "rate": 1, "drain": "1s" })),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    "concurrency" cannot be used with "backlog"; missing key "rate"; missing key "drain"
    backlog: expected a whole number from 0 to 4294967295, found -1; rate: expected a number from 0.001 to 1000000, found 0; drain: expected a duration from 1ms to 1d, found "25h"; hold_for: expected a duration above zero, found "0s"
    backlog: expected a whole number from 0 to 4294967295, found 4294967296; rate: expected a number from 0.001 to 1000000, found "300"; drain: expected a string, found a number
    backlog: expected a whole number from 0 to 4294967295, found 1.5; rate: expected a number from 0.001 to 1000000, found 1e+300; drain: expected a duration from 1ms to 1d, found "0s"
    rate: expected a number from 0.001 to 1000000, found -0.5; "for" cannot be used with "backlog"; write "hold_for"
    rate: expected a number from 0.001 to 1000000, found 1e-29; missing key "backlog"; unknown key "drian"; did you mean `drain`?
    rate: expected a number from 0.001 to 1000000, found 1e-28
    rate: expected a number from 0.001 to 1000000, found 1000000.5
    "function" cannot be used with "pipeline"; "concurrency" cannot be used with "pipeline"; "rate" cannot be used with "pipeline"
    pipeline: expected one line of at most 256 characters, found the control character \n; missing key "backlog"
    pipeline: expected a string, found a number
    direct invocation: missing key "backlog"; "concurrency" cannot be used with "backlog"; missing key "rate"; missing key "drain"
    direct invocation: missing key "function"; unknown key "pipeline"
    "#);
}

#[test]
fn direct_invocations() {
    let run = |event| LambdaEvent::parse(&event).unwrap();
    assert_eq!(run(json!({ "warmd": { "run": {} } })), LambdaEvent::Run { at: None });
    assert_eq!(
        run(json!({ "warmd": { "run": { "at": "2026-11-20T10:00:00+01:00" } } })),
        LambdaEvent::Run { at: Some(at("2026-11-20T09:00:00Z")) }
    );
    assert_eq!(
        run(json!({ "warmd": { "warm": {
            "function": "nlp:live", "region": "us-east-1", "concurrency": 3, "protocol": "bref", "hold": "75ms",
        } } })),
        LambdaEvent::Warm(DirectWarm {
            function: function("nlp:live"),
            region: Some(Region::parse("us-east-1").unwrap()),
            tenant: None,
            need: DirectNeed::Given(Need::Environments(3)),
            protocol: Some(Protocol::Bref),
            hold: Some(Hold::Fixed(Duration::from_millis(75))),
        })
    );
    let LambdaEvent::Warm(like) =
        run(json!({ "warmd": { "warm": { "function": "nlp:8", "like": "live" } } }))
    else {
        panic!()
    };
    assert_eq!(like.need, DirectNeed::Like(Qualifier::parse("live").unwrap()));
    assert_eq!((like.function, like.protocol, like.hold), (function("nlp:8"), None, None));
    let of_tenant = |tenant: &str| {
        LambdaEvent::parse(
            &json!({ "warmd": { "warm": { "function": "nlp", "concurrency": 3, "tenant": tenant } } }),
        )
    };
    let LambdaEvent::Warm(warm) = of_tenant("acme: 1").unwrap() else { panic!() };
    assert_eq!(warm.tenant.unwrap().as_str(), "acme: 1");
    let error = of_tenant("a\r\nX-Evil: 1").unwrap_err().to_string();
    assert!(error.contains("tenant: expected a tenant id"), "{error}");
}

#[test]
fn every_mistake_in_a_number_like_that_of_an_alias_is_reported() {
    let errors = [
        json!({ "function": "f:8", "like": "live", "concurrency": 5, "backlog": 1, "drain": "1s" }),
        json!({ "function": "f", "like": "live" }),
        json!({ "function": "f:live", "like": "live" }),
        json!({ "function": "f:8", "like": "a.b", "hold": "x" }),
        json!({ "like": 8 }),
        json!({ "function": "f:8", "like": null, "liek": "live" }),
    ]
    .map(|warm| refused(json!({ "warmd": { "warm": warm } })));
    let errors = errors.map(|error| error.replace("this event is not served, and nothing was sent: ", ""));
    insta::assert_snapshot!(errors.join("\n"), @r#"
    direct invocation: "concurrency" cannot be used with "like"; "backlog" cannot be used with "like"; "drain" cannot be used with "like"
    direct invocation: function: expected a version that is to be warmed like `live`, such as `f:8`, found "f"
    direct invocation: function: expected a version that is to be warmed like `live`, such as `f:8`, found "f:live"
    direct invocation: like: expected a qualifier ($LATEST, a version number, or an alias of A-Z a-z 0-9 _ -), found "a.b"; hold: expected a duration, found "x"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`
    direct invocation: missing key "function"; like: expected a string, found a number
    direct invocation: missing key "concurrency"; unknown key "like"; unknown key "liek"
    "#);
}

#[test]
fn an_unknown_event_is_refused() {
    let event = |source, kind| json!({ "source": source, "detail-type": kind, "detail": {} });
    let errors: Vec<String> = [
        json!([1]),
        json!({}),
        json!({ "Records": [] }),
        event("aws.s3", "Object Created"),
        event("shop", "Scheduled Event"),
        event("shop", "Warm Shard"),
        json!({ "warmd": true }),
        json!({ "warmd": {} }),
        json!({ "warmd": { "run": {}, "warm": {} } }),
        json!({ "warmd": { "run": { "At": "2026-11-20T09:00:00Z" } } }),
        json!({ "warmd": { "run": {} }, "extra": 1 }),
    ]
    .into_iter()
    .map(|event| refused(event).replace("this event is not served, and nothing was sent: ", ""))
    .collect();
    insta::assert_snapshot!(errors.join("\n"), @r#"
    unknown event: expected a JSON object, found a list
    unknown event: expected the keys "source" and "detail-type" of EventBridge, or the key "warmd"
    unknown event: expected the keys "source" and "detail-type" of EventBridge, or the key "warmd"
    unknown event: "Object Created" from "aws.s3" is not supported
    unknown event: "Scheduled Event" from "shop" is not supported
    unknown event: "Warm Shard" from "shop" is not supported
    direct invocation: warmd: expected an object, found a boolean
    direct invocation: expected either the key "run" or the key "warm"
    direct invocation: expected either the key "run" or the key "warm"
    direct invocation: unknown key "At"; did you mean `at`?
    direct invocation: unknown key "extra"
    "#);
}

#[test]
fn every_mistake_is_reported() {
    let request = json!({ "source": "shop", "detail-type": "Warm Request", "detail": {
        "function": "a b", "concurency": 5, "for": "10 minutes", "reason": 7, "region": "eu-wset-2",
    } });
    insta::assert_snapshot!(refused(request), @r#"this event is not served, and nothing was sent: Warm Request: function: expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found "a b"; missing key "concurrency"; region: unknown region "eu-wset-2"; did you mean `eu-west-2`?; for: expected a duration, found "10 minutes"; write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`; reason: expected a string, found a number; unknown key "concurency"; did you mean `concurrency`?"#);
    let scheduled = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
    insta::assert_snapshot!(refused(scheduled), @r#"this event is not served, and nothing was sent: scheduled event: missing key "time""#);
    let shard = json!({ "source": "warmd", "detail-type": "Warm Shard", "detail": {
        "version": 2, "tick": "noon", "attempt": 4,
        "rounds": [{ "function": "f", "concurrency": 1 }, { "function": "f", "region": "eu-west-2", "concurrency": 0, "share": 0 }],
    } });
    insta::assert_snapshot!(refused(shard), @r#"this event is not served, and nothing was sent: Warm Shard: version: expected a whole number from 1 to 1, found 2; tick: expected an instant such as 2026-11-20T09:00:00Z, found "noon"; attempt: expected a whole number from 1 to 3, found 4; rounds[0]: missing key "region"; rounds[1]: concurrency: expected a whole number from 1 to 100000, found 0; share: expected a whole number from 1 to 4294967295, found 0"#);
    let warm = json!({ "warmd": { "warm": { "function": "f", "concurrency": 1, "protocol": "warmed", "hold": "901s" } } });
    insta::assert_snapshot!(refused(warm), @r#"this event is not served, and nothing was sent: direct invocation: protocol: expected a protocol, found "warmed"; did you mean `warmd`?; hold: expected at most 900s, the longest run of a function, found "901s""#);
}

#[test]
fn an_event_cannot_have_a_custom_payload() {
    let event = |protocol| json!({ "warmd": { "warm": { "function": "f", "concurrency": 1, "protocol": protocol, "hold": "auto" } } });
    assert!(LambdaEvent::parse(&event("warmd")).is_ok());
    assert!(refused(event("custom")).contains("use one of warmd, "));
}

#[test]
fn durations_are_whole_numbers_with_one_unit() {
    let ms = |text| fields::duration(text).map(|duration| duration.as_millis());
    assert_eq!(ms("250ms"), Ok(250));
    assert_eq!(ms("90s"), Ok(90_000));
    assert_eq!(ms("10m"), Ok(600_000));
    assert_eq!(ms("2h"), Ok(7_200_000));
    assert_eq!(ms("1d"), Ok(86_400_000));
    for text in ["", "m", "0s", "-1s", "+1s", "1.5h", "1h30m", "5", "99999999999999999d"] {
        assert!(ms(text).is_err(), "{text}");
    }
}

#[test]
fn the_event_after_a_request_has_five_keys() {
    let id = function("nlp:live").identity(Region::parse("eu-west-2").unwrap());
    let of = |id: &Identity| {
        environments_warm(id, Some(5), Some(Evidence::Ids), Duration::from_millis(8_120)).to_string()
    };
    insta::assert_snapshot!(of(&id), @r#"{"function":"nlp:live","tenant":null,"reached":5,"evidence":"ids","took_ms":8120}"#);
    let id = Identity { tenant: Tenant::parse("a").ok(), ..id };
    insta::assert_snapshot!(of(&id), @r#"{"function":"nlp:live","tenant":"a","reached":5,"evidence":"ids","took_ms":8120}"#);
}

#[test]
fn times_more_than_a_minute_ahead_are_refused() {
    let now = at("2026-11-20T09:00:00Z");
    let check = |event: Value| LambdaEvent::parse(&event).unwrap().check_time(now);
    let timed = |kind, time: &str| {
        let mut event = sample(kind);
        event["time"] = json!(time);
        event
    };
    for kind in [EventKind::Scheduled, EventKind::WarmRequest, EventKind::Shard] {
        for time in ["1970-01-01T00:00:00Z", "2026-11-20T09:00:00Z", "2026-11-20T09:01:00Z"] {
            assert_eq!(check(timed(kind, time)), Ok(()), "{time}");
        }
        for time in [
            "2026-11-20T09:01:01Z",
            "2026-11-20T10:00:00+00:58",
            "2099-01-01T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
        ] {
            let refused = check(timed(kind, time)).unwrap_err();
            assert!(
                refused.problems[0].starts_with("time: expected at most 60 s after 2026-11-20T09:00:00Z"),
                "{refused}"
            );
        }
    }
    let mut shard = sample(EventKind::Shard);
    shard["detail"]["tick"] = json!("2026-11-20T09:02:00Z");
    insta::assert_snapshot!(check(shard.clone()).unwrap_err(), @"this event is not served, and nothing was sent: Warm Shard: tick: expected at most 60 s after 2026-11-20T09:00:00Z, found 2026-11-20T09:02:00Z");
    // The tick of an operator may be for any minute.
    shard["detail"]["run"] = json!("request-1");
    assert_eq!(check(shard), Ok(()));
    assert_eq!(check(json!({ "warmd": { "run": { "at": "2099-01-01T00:00:00Z" } } })), Ok(()));
    // CloudTrail's clock is not that of the sender.
    assert_eq!(check(deployment(json!({ "eventTime": "2099-01-01T00:00:00Z" }))), Ok(()));
}

#[test]
fn a_refusal_quotes_only_a_part_of_a_large_event() {
    let long = "x".repeat(1_000_000);
    let shard = |region: &str, rounds: usize| {
        let round = json!({ "function": "f", "region": region, "concurrency": 0 });
        let detail = json!({ "version": 1, "tick": long, "attempt": 1, "rounds": vec![round; rounds] });
        json!({ "source": SOURCE, "detail-type": WARM_SHARD, "detail": detail })
    };
    for event in [
        // Lambda accepts events of at most 1 MB.
        shard(&long, 1),
        shard(&long[..2_000], 500),
        json!({ "source": long, "detail-type": long }),
    ] {
        let error = LambdaEvent::parse(&event).unwrap_err();
        assert!(error.to_string().chars().count() < 8_000, "{}", error.problems.len());
    }
}

#[test]
fn a_reason_is_one_line_of_256_characters() {
    assert_eq!(reason(&"é".repeat(256)), Ok("é".repeat(256)));
    assert_eq!(reason(""), Ok(String::new()));
    for (text, found) in
        [("x".repeat(257), "found 257"), ("a\nb".to_owned(), r"\n"), ("\u{9b}".to_owned(), r"\u{9b}")]
    {
        let error = reason(&text).unwrap_err();
        assert!(
            error.starts_with("expected one line of at most 256 characters") && error.contains(found),
            "{error}"
        );
    }
}

#[test]
fn the_detail_of_a_shard_is_read_as_the_same_shard() {
    let round = |name: &str, concurrency| {
        let id = function(name).identity(Region::parse("eu-west-2").unwrap());
        ShardRound::example(id, NonZeroU32::new(concurrency).unwrap())
    };
    let of_tenant = |tenant| {
        let round = round("nlp:live", 3);
        ShardRound { id: Identity { tenant: Tenant::parse(tenant).ok(), ..round.id }, ..round }
    };
    let shared = ShardRound { share: NonZeroU32::MAX, ..round("nlp:canary", 1) };
    let read = ShardRound { metric_age: Some(61), ..round("nlp:read", 4) };
    let raised = ShardRound { has_backlog: true, raised_to: Some(300), ..round("nlp:raised", 300) };
    let keys = |round: &ShardRound| round.json().as_object().unwrap().len();
    assert_eq!([&round("f", 1), &read, &raised].map(keys), [3, 4, 5]);
    let tenants = [of_tenant("a b"), of_tenant("x:/@=")];
    let rounds = [round("nlp:live", 10), round("nlp:$LATEST", 2), shared, read, raised];
    let rounds = [rounds.to_vec(), tenants.to_vec()].concat();
    assert!(rounds.iter().all(|round| round.json().get("tenant").is_some() == round.id.tenant.is_some()));
    assert!(rounds.iter().all(|round| round.json().get("share").is_some() == (round.share.get() > 1)));
    let tick = DateTime::UNIX_EPOCH;
    let shard = Shard { tick, config: Some("abc".to_owned()), attempt: 1, run: None, rounds };
    for shard in [shard.clone(), Shard { run: Some("request-1".to_owned()), ..shard }] {
        let event = json!({ "source": SOURCE, "detail-type": WARM_SHARD, "detail": shard.detail() });
        assert_eq!(LambdaEvent::parse(&event), Ok(LambdaEvent::Shard { at: None, shard }));
    }
}

#[test]
fn the_keys_of_a_round_are_checked() {
    let round = json!({ "function": "f", "region": "eu-west-2", "concurrency": 2,
        "metric_age": -1, "backlog": "yes", "raised_to": 0 });
    let detail = json!({ "version": 1, "tick": "2026-11-20T09:00:00Z", "attempt": 1, "rounds": [round] });
    let event = json!({ "source": SOURCE, "detail-type": WARM_SHARD, "detail": detail });
    let error = LambdaEvent::parse(&event).unwrap_err();
    assert_eq!(
        error.problems.join("\n").split("; ").collect::<Vec<_>>(),
        [
            "rounds[0]: metric_age: expected a whole number from 0 to 4294967295, found -1",
            r#"backlog: expected true or false, found "yes""#,
            "raised_to: expected a whole number from 1 to 4294967295, found 0",
        ]
    );
}

/// Returns the sample of a deployment with other values in `detail`; `null` removes a key.
fn deployment(changes: Value) -> Value {
    let mut event = sample(EventKind::Deployed);
    for (key, value) in changes.as_object().unwrap() {
        let detail = event["detail"].as_object_mut().unwrap();
        detail.insert(key.clone(), value.clone());
        detail.retain(|_, value| !value.is_null());
    }
    event
}

fn parsed(event: &Value) -> String {
    match LambdaEvent::parse(event).unwrap() {
        LambdaEvent::Deployed(Deployment { function, alias, account, region, at }) => {
            let alias = alias.map_or("-".to_owned(), |alias| alias.to_string());
            let account = account.map_or("-".to_owned(), |account| account.as_str().to_owned());
            let at = at.map_or("-".to_owned(), |at| at.format("%T").to_string());
            format!("{function} {alias} {account} {region} {at}")
        }
        LambdaEvent::Ignored(reason) => format!("ignored: {reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deployment_names_its_function_in_every_form_of_lambda() {
    let arn = "arn:aws:lambda:us-east-1:210987654321:function:nlp";
    let mut table = Vec::new();
    for (call, name) in [
        ("UpdateAlias20150331", "nlp"),
        ("UpdateFunctionCode20150331v2", "nlp"),
        ("UpdateFunctionCode20150331v2", "nlp:$LATEST"),
        ("UpdateFunctionConfiguration20150331v2", "210987654321:function:nlp"),
        ("UpdateFunctionConfiguration20150331v2", "210987654321:function:nlp:live"),
        ("UpdateFunctionCode20150331v2", arn),
        ("UpdateFunctionCode", "arn:aws:lambda:us-east-1:210987654321:function:nlp:7"),
    ] {
        let parameters = json!({ "functionName": name, "name": "live", "dryRun": false });
        table.push(parsed(&deployment(json!({ "eventName": call, "requestParameters": parameters }))));
    }
    insta::assert_snapshot!(table.join("\n"), @"
    nlp live 123456789012 eu-west-2 09:00:00
    nlp - 123456789012 eu-west-2 09:00:00
    nlp - 123456789012 eu-west-2 09:00:00
    nlp - 210987654321 eu-west-2 09:00:00
    nlp - 210987654321 eu-west-2 09:00:00
    nlp - 210987654321 us-east-1 09:00:00
    nlp - 210987654321 us-east-1 09:00:00
    ");
    let mut bare = deployment(json!({ "awsRegion": null, "eventTime": "yesterday" }));
    (bare["region"], bare["account"]) = (json!("us-west-2"), Value::Null);
    assert_eq!(parsed(&bare), "nlp-inference live - us-west-2 09:00:00", "as the envelope says");
    bare["time"] = json!(7);
    assert_eq!(parsed(&bare), "nlp-inference live - us-west-2 -");
}

#[test]
fn calls_of_others_are_ignored_and_never_refused() {
    let long = "x".repeat(1_000_000);
    let with = |parameters: Value| deployment(json!({ "requestParameters": parameters }));
    let mut table: Vec<String> = [
        deployment(json!({ "eventSource": "s3.amazonaws.com" })),
        deployment(json!({ "eventName": "UpdateEventSourceMapping20150331" })),
        deployment(json!({ "eventName": "PublishVersion20150331" })),
        deployment(json!({ "eventName": null })),
        deployment(json!({ "eventName": long })),
        deployment(json!({ "errorCode": "ResourceConflictException" })),
        deployment(json!({ "errorCode": 7 })),
        deployment(json!({ "awsRegion": "eu-wset-2" })),
        deployment(json!({ "requestParameters": null })),
        with(json!("nlp")),
        with(json!([{ "functionName": "nlp" }])),
        with(json!({ "functionName": { "arn": "nlp" }, "name": "live" })),
        with(json!({ "functionName": long, "name": "live" })),
        with(json!({ "functionName": "", "name": "live" })),
        with(json!({ "functionName": "a\u{1b}[2J", "name": "live" })),
        with(json!({ "functionName": "arn:aws:s3:::bucket", "name": "live" })),
        with(json!({ "functionName": "1:function:nlp", "name": "live" })),
        with(json!({ "functionName": "nlp" })),
        with(json!({ "functionName": "nlp", "name": 7 })),
        with(json!({ "functionName": "nlp", "name": "7" })),
        with(json!({ "functionName": "nlp", "name": long })),
        with(json!({ "functionName": "nlp", "name": "live", "dryRun": true })),
    ]
    .iter()
    .map(parsed)
    .collect();
    let mut event = sample(EventKind::Deployed);
    event["source"] = json!("aws.s3");
    table.push(parsed(&event));
    for detail in [Value::Null, json!([]), json!("UpdateAlias")] {
        event["detail"] = detail;
        table.push(parsed(&event));
    }
    insta::assert_snapshot!(table.join("\n"), @r#"
    ignored: it is no call of Lambda
    ignored: the call "UpdateEventSourceMapping20150331" is no deployment
    ignored: the call "PublishVersion20150331" is no deployment
    ignored: the call "" is no deployment
    ignored: the call "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is no deployment
    ignored: the call failed
    ignored: the call failed
    ignored: expected a region, found "eu-wset-2"
    ignored: it has no name of a function
    ignored: it has no name of a function
    ignored: it has no name of a function
    ignored: it has no name of a function
    ignored: expected a function's name or ARN, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    ignored: expected a function's name or ARN, found ""
    ignored: expected a function's name or ARN, found "a\u{1b}[2J"
    ignored: expected a function's name or ARN, found "arn:aws:s3:::bucket"
    ignored: expected a function's name or ARN, found "1:function:nlp"
    ignored: it has no name of an alias
    ignored: it has no name of an alias
    ignored: expected the name of an alias, found "7"
    ignored: expected the name of an alias, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    ignored: the call was a dry run
    ignored: it is no call of Lambda
    ignored: it is no call of Lambda
    ignored: it is no call of Lambda
    ignored: it is no call of Lambda
    "#);
}

#[test]
fn a_deployment_concerns_the_targets_that_run_it() {
    let target = |name: &str, region: &str| Target::example(name, region, Vec::new());
    let with_role = |arn: &str| {
        let role = Some(Arc::new(Role { arn: arn.to_owned(), external_id: None }));
        Target { role, ..target("f:live", "eu-west-2") }
    };
    let of_tenant = |name: &str| {
        let target = target(name, "eu-west-2");
        Target { id: Identity { tenant: Tenant::parse("a").ok(), ..target.id.clone() }, ..target }
    };
    let targets = [
        ("f", target("f", "eu-west-2")),
        ("f:$LATEST", target("f:$LATEST", "eu-west-2")),
        ("f:live", target("f:live", "eu-west-2")),
        ("f:7", target("f:7", "eu-west-2")),
        ("f@a", of_tenant("f")),
        ("f:live@a", of_tenant("f:live")),
        ("f:live in us-east-1", target("f:live", "us-east-1")),
        ("own ARN", target("arn:aws:lambda:eu-west-2:123456789012:function:f:live", "eu-west-2")),
        ("their ARN", target("arn:aws:lambda:eu-west-2:210987654321:function:f:live", "eu-west-2")),
        ("own role", with_role("arn:aws:iam::123456789012:role/warmed")),
        ("their role", with_role("arn:aws:iam::210987654321:role/warmed")),
        ("g:live", target("g:live", "eu-west-2")),
    ];
    let concerned = |call: &str, change: &dyn Fn(&mut Deployment)| {
        let parameters = json!({ "functionName": "f", "name": "live" });
        let event = deployment(json!({ "eventName": call, "requestParameters": parameters }));
        let LambdaEvent::Deployed(mut deployed) = LambdaEvent::parse(&event).unwrap() else { panic!() };
        change(&mut deployed);
        let concerned = targets.iter().filter(|(_, target)| deployed.concerns(target));
        concerned.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(concerned("UpdateAlias20150331", &|_| {}), "f:live, f:live@a, own ARN, own role");
    for call in ["UpdateFunctionCode20150331v2", "UpdateFunctionConfiguration20150331v2"] {
        assert_eq!(concerned(call, &|_| {}), "f, f:$LATEST, f@a");
    }
    let theirs = |deployed: &mut Deployment| deployed.account = AccountId::parse("210987654321");
    assert_eq!(concerned("UpdateAlias20150331", &theirs), "f:live, f:live@a, their ARN, their role");
    let far = |deployed: &mut Deployment| deployed.region = Region::parse("us-east-1").unwrap();
    assert_eq!(concerned("UpdateAlias20150331", &far), "f:live in us-east-1");
}
