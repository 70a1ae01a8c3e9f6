//! Bills, the price book, and the costs of plans, differences and comparisons.

use serde_json::{Value, json};

use crate::support::{Done, run, write};

/// Four weeks, 20 working days.
const FEBRUARY: [&str; 4] = ["--from", "2026-02-02", "--until", "2026-03-02"];

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn vector(id: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../vectors/cost.json")).unwrap();
    file["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id).unwrap().clone()
}

/// Runs a command line and returns the bill.
fn bill(command: &str) -> Value {
    let args: Vec<&str> = command.split_whitespace().chain(["--json"]).collect();
    let done = run(&args);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{command}");
    done.json()
}

/// Returns the amounts of lines with an item that begins with `item`.
fn amounts(bill: &Value, item: &str) -> Vec<String> {
    let lines = bill["lines"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line["item"].as_str().unwrap().starts_with(item));
    lines.map(|line| line["amount"].as_str().unwrap().to_owned()).collect()
}

/// Formats a number of a vector like an amount of a bill.
fn cents(number: &Value) -> String {
    format!("{:.2}", number.as_f64().unwrap())
}

fn lambda(vector: &Value, more: &str) -> Value {
    let text = |key: &str| vector[key].to_string();
    let free = if vector["free_tier"] == false || vector["free_tier"].is_null() { "" } else { "--free-tier" };
    let ephemeral = vector["ephemeral_mb"].as_u64().map_or(String::new(), |mb| format!("--ephemeral {mb}MB"));
    let requests = if vector["od_requests"].is_null() { "" } else { "od_" };
    bill(&format!(
        "price lambda --region us-east-1 --arch {} --memory {}MB --requests {} --duration {}ms {free} {ephemeral} {more}",
        vector["arch"].as_str().unwrap(),
        text("mem_mb"),
        text(&format!("{requests}requests")),
        text(&format!("{requests}avg_ms")),
    ))
}

#[test]
fn the_worked_examples_of_lambda_match_to_the_cent() {
    for id in ["L1", "L2", "L3", "I1", "I2", "I4"] {
        let vector = vector(id);
        let bill = lambda(&vector, "");
        assert_eq!(amounts(&bill, "Lambda requests"), [cents(&vector["request"])], "{id}");
        let compute: Vec<String> = match (&vector["tiers"], &vector["compute"]) {
            (Value::Array(tiers), _) => tiers.iter().map(cents).collect(),
            (_, compute) => vec![cents(compute)],
        };
        assert_eq!(amounts(&bill, "Lambda compute"), compute, "{id}");
        if let Some(ephemeral) = vector.get("ephemeral") {
            assert_eq!(amounts(&bill, "Ephemeral storage"), [cents(ephemeral)], "{id}");
        }
        if let Some(total) = vector.get("total") {
            assert_eq!(bill["total"], cents(total), "{id}");
        }
    }
    let vector = vector("L4");
    let provisioned =
        "--provisioned 100 --provisioned-for 8h --provisioned-requests 500000 --provisioned-duration 100ms";
    let bill = lambda(&vector, provisioned);
    assert_eq!(amounts(&bill, "Provisioned concurrency"), [cents(&vector["pc_charge"])]);
    assert_eq!(amounts(&bill, "Provisioned compute"), [cents(&vector["pc_duration"])]);
    assert_eq!(amounts(&bill, "Lambda compute"), [cents(&vector["od_duration"])]);
    assert_eq!(bill["total"], "19.96");
}

#[test]
fn the_worked_examples_of_egress_match_to_the_cent() {
    for id in ["S1", "I7", "I9"] {
        let vector = vector(id);
        let bill = bill(&format!(
            "price egress --region {} --size {}GiB --route internet --free {}GiB",
            vector["region"].as_str().unwrap_or("us-east-1"),
            vector["egress_gb"],
            vector["free_gb"],
        ));
        let tiers = vector["tiers"].as_array().unwrap();
        let quantities: Vec<String> = tiers.iter().map(|tier| tier[0].to_string()).collect();
        let lines = bill["lines"].as_array().unwrap();
        assert_eq!(
            lines.iter().map(|line| line["quantity"].as_str().unwrap()).collect::<Vec<_>>(),
            quantities
        );
        assert_eq!(amounts(&bill, ""), tiers.iter().map(|tier| cents(&tier[2])).collect::<Vec<_>>(), "{id}");
        assert_eq!(bill["total"], cents(&vector["total"]), "{id}");
    }
    let vector = vector("S2");
    let requests =
        bill("price egress --region us-east-1 --size 0B --route same-region --gets 620000 --puts 310000");
    assert_eq!(amounts(&requests, "S3 GET"), [cents(&vector["get_cost"])]);
    assert_eq!(amounts(&requests, "S3 PUT"), [cents(&vector["put_cost"])]);
}

#[test]
fn a_bill_has_exactly_these_keys_and_exact_quantities() {
    insta::assert_snapshot!(bill("price egress --region us-east-1 --size 1GB --route inter-region:us-east-2 --hours 5"), @r#"{"lines":[{"item":"S3 egress by inter-region:us-east-2","quantity":"0.931322574615478515625","unit":"GiB","unit_price":"0.01","amount":"0.01"}],"total":"0.01"}"#);
    let managed = "price managed --region us-east-1 --instance m7g.xlarge --hours 2000 --requests 100000000";
    assert_eq!(bill(managed)["total"], "395.36");
    assert_eq!(bill(&format!("{managed} --hourly 0.0457"))["total"], "160.36");
    assert_eq!(
        bill("price ec2 --region us-east-1 --instance m7g.xlarge --count 2 --hours 730")["total"],
        "238.27"
    );
    let gateway = "price egress --region us-east-1 --size 100GiB --route nat-gateway";
    assert_eq!(bill(gateway)["total"], "4.50", "no hours by default");
    assert_eq!(bill(&format!("{gateway} --hours 730"))["total"], "37.35");
    let snapstart = "price lambda --region us-east-1 --memory 2048MB --snapstart-cache-gb-s 2600000 --snapstart-restores 1000 --tenant-environments 1000";
    assert_eq!(amounts(&bill(snapstart), ""), ["3.91", "0.28", "0.33"]);
}

#[test]
fn unknown_prices_are_null() {
    let unknown = bill("price ec2 --region me-south-1 --instance m7g.xlarge --hours 1");
    assert_eq!(unknown["total"], Value::Null);
    assert_eq!(unknown["lines"][0]["amount"], Value::Null);
    let text = run(&["price", "ec2", "--region", "me-south-1", "--instance", "m7g.xlarge", "--hours", "1"]);
    assert!(text.stdout.contains("! no price is known for EC2 m7g.xlarge in me-south-1"), "{}", text.stdout);
}

#[test]
fn every_price_has_a_source_and_a_date() {
    let all = bill("price book");
    assert_eq!(keys(&all), ["figures"]);
    let all = all["figures"].as_array().unwrap();
    assert!(all.len() > 200);
    for figure in all {
        assert_eq!(
            keys(figure),
            ["item", "region", "unit", "price", "tiers", "source", "url", "date", "old"],
            "{figure}"
        );
        assert!(!figure["source"].as_str().unwrap().is_empty(), "{figure}");
        assert!(figure["url"].as_str().unwrap().starts_with("https://"), "{figure}");
        assert_eq!(figure["date"].as_str().unwrap().len(), 10, "{figure}");
        assert!(figure["old"].is_boolean());
    }
    let london = bill("price book --region eu-west-2");
    let nat: Vec<&Value> = london["figures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|figure| figure["item"] == "nat-gateway.gb")
        .collect();
    assert_eq!(nat.len(), 1);
    assert_eq!((&nat[0]["region"], &nat[0]["price"]), (&json!("eu-west-2"), &json!("0.05")));
}

/// Functions with and without owner, and an own price.
const SHOP: &str = "
version: 1
defaults: { region: eu-west-2, timezone: Europe/London, interval: 5m }
functions:
  search:live:
    owner: search
    regions: [eu-west-2, us-east-1]
    memory: 1024MB
    architecture: arm64
    windows: [{ days: mon-fri, hours: \"08:00-18:00\", concurrency: 10 }]
    downloads: [{ object: \"s3://models/nlp-v7.bin\", size: 220MB, route: nat-gateway }]
    assume: { init_duration: 8s }
  checkout:
    owner: payments
    memory: 512MB
    architecture: arm64
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
    assume: { idle_life: 6m, recycle_after: 2h, ping_duration: 4ms, init_duration: 1s, log_bytes_per_ping: 400 }
  report:
    windows: [{ days: sat, hours: \"10:00-10:30\", concurrency: 1 }]
";

const WEEK: [&str; 4] = ["--from", "2026-11-16T00:00:00Z", "--for", "7d"];

fn shop() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "shop.yaml", SHOP);
    (folder, path.to_str().unwrap().to_owned())
}

fn with(args: &[&str], more: &[&str]) -> Done {
    run(&[args, more].concat())
}

#[test]
fn a_plan_shows_costs_by_target_by_owner_and_in_total() {
    let (_folder, path) = shop();
    insta::assert_snapshot!(with(&["plan", &path], &WEEK).shown(), @"
    exit 0
    --- stdout
    plan from 2026-11-16 00:00 UTC until 2026-11-23 00:00 UTC

    search:live (eu-west-2), every 5 minutes, times in Europe/London: 600 rounds, 6,000 pings
      LOCAL TIME                    UTC                   DESIRED  ROUNDS  PINGS
      Mon 16 Nov 08:00 – 18:00 GMT  16 Nov 08:00 – 18:00       10     120  1,200
      Tue 17 Nov 08:00 – 18:00 GMT  17 Nov 08:00 – 18:00       10     120  1,200
      Wed 18 Nov 08:00 – 18:00 GMT  18 Nov 08:00 – 18:00       10     120  1,200
      Thu 19 Nov 08:00 – 18:00 GMT  19 Nov 08:00 – 18:00       10     120  1,200
      Fri 20 Nov 08:00 – 18:00 GMT  20 Nov 08:00 – 18:00       10     120  1,200
                  00    03    06    09    12    15    18    21
      Mon 16 Nov  ················████████████████████············
      Tue 17 Nov  ················████████████████████············
      Wed 18 Nov  ················████████████████████············
      Thu 19 Nov  ················████████████████████············
      Fri 20 Nov  ················████████████████████············
      Sat 21 Nov  ················································
      Sun 22 Nov  ················································
      cost $2.59*: 250 cold starts, 51.2 GiB from S3
        ITEM                                          QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                  6,000  request     $0.0000002   $0.00
        Lambda compute arm64, first 7.5 billion GB-s     2,030  GB-s     $0.0000133334   $0.03
        S3 GET requests                                    250  request    $0.00000042   $0.00
        S3 egress by nat-gateway                        51.223  GiB              $0.05   $2.56
        CloudWatch Logs of pings                       0.00224  GiB            $0.5985   $0.00
      * assumed: idle_life 5m, recycle_after 2h, ping_duration 5ms, log_bytes_per_ping 400

    search:live (us-east-1), every 5 minutes, times in Europe/London: 600 rounds, 6,000 pings
      LOCAL TIME                    UTC                   DESIRED  ROUNDS  PINGS
      Mon 16 Nov 08:00 – 18:00 GMT  16 Nov 08:00 – 18:00       10     120  1,200
      Tue 17 Nov 08:00 – 18:00 GMT  17 Nov 08:00 – 18:00       10     120  1,200
      Wed 18 Nov 08:00 – 18:00 GMT  18 Nov 08:00 – 18:00       10     120  1,200
      Thu 19 Nov 08:00 – 18:00 GMT  19 Nov 08:00 – 18:00       10     120  1,200
      Fri 20 Nov 08:00 – 18:00 GMT  20 Nov 08:00 – 18:00       10     120  1,200
                  00    03    06    09    12    15    18    21
      Mon 16 Nov  ················████████████████████············
      Tue 17 Nov  ················████████████████████············
      Wed 18 Nov  ················████████████████████············
      Thu 19 Nov  ················████████████████████············
      Fri 20 Nov  ················████████████████████············
      Sat 21 Nov  ················································
      Sun 22 Nov  ················································
      cost $2.34*: 250 cold starts, 51.2 GiB from S3
        ITEM                                          QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                  6,000  request     $0.0000002   $0.00
        Lambda compute arm64, first 7.5 billion GB-s     2,030  GB-s     $0.0000133334   $0.03
        S3 GET requests                                    250  request     $0.0000004   $0.00
        S3 egress by nat-gateway                        51.223  GiB             $0.045   $2.31
        CloudWatch Logs of pings                       0.00224  GiB               $0.5   $0.00
      * assumed: idle_life 5m, recycle_after 2h, ping_duration 5ms, log_bytes_per_ping 400

    checkout (eu-west-2), every 5 minutes, times in Europe/London: 2,016 rounds, 4,032 pings
      LOCAL TIME                               UTC                          DESIRED  ROUNDS  PINGS
      Mon 16 Nov 00:00 – Mon 23 Nov 00:00 GMT  16 Nov 00:00 – 23 Nov 00:00        2   2,016  4,032
                  00    03    06    09    12    15    18    21
      Mon 16 Nov  ████████████████████████████████████████████████
      Tue 17 Nov  ████████████████████████████████████████████████
      Wed 18 Nov  ████████████████████████████████████████████████
      Thu 19 Nov  ████████████████████████████████████████████████
      Fri 20 Nov  ████████████████████████████████████████████████
      Sat 21 Nov  ████████████████████████████████████████████████
      Sun 22 Nov  ████████████████████████████████████████████████
      cost $0.00: 168 cold starts, 0 B from S3
        ITEM                                          QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                  4,032  request     $0.0000002   $0.00
        Lambda compute arm64, first 7.5 billion GB-s    92.064  GB-s     $0.0000133334   $0.00
        CloudWatch Logs of pings                        0.0015  GiB            $0.5985   $0.00

    report (eu-west-2), every 5 minutes, times in Europe/London: 6 rounds, 6 pings
      LOCAL TIME                    UTC                   DESIRED  ROUNDS  PINGS
      Sat 21 Nov 10:00 – 10:30 GMT  21 Nov 10:00 – 10:30        1       6      6
                  00    03    06    09    12    15    18    21
      Mon 16 Nov  ················································
      Tue 17 Nov  ················································
      Wed 18 Nov  ················································
      Thu 19 Nov  ················································
      Fri 20 Nov  ················································
      Sat 21 Nov  ····················██··························
      Sun 22 Nov  ················································
      cost $0.00*: 1 cold start, 0 B from S3
        ITEM                                           QUANTITY  UNIT             PRICE  AMOUNT
        Lambda requests                                       6  request     $0.0000002   $0.00
        Lambda compute x86_64, first 6 billion GB-s       1.254  GB-s     $0.0000166667   $0.00
        CloudWatch Logs of pings                     0.00000224  GiB            $0.5985   $0.00
      * assumed: idle_life 5m, recycle_after 2h, ping_duration 5ms, init_duration 10s,
        log_bytes_per_ping 400, memory 128MB, architecture x86_64

    4 targets: 3,222 rounds, 16,038 pings
      OWNER                       TARGETS   PINGS  COLD STARTS  FROM S3    COST
      no owner                          1       6            1      0 B  $0.00*
      payments                          1   4,032          168      0 B   $0.00
      search                            2  12,000          500  102 GiB  $4.93*
      warmd itself, in eu-west-2                                         $2.55*
      total                                                              $7.48*
      warming $5.00*, observing $2.48* (metrics, dashboard, alarms, reads of metrics, log of warmd)

      ITEM                                                                     QUANTITY  UNIT             AMOUNT
      Lambda requests, eu-west-2                                                 10,038  request           $0.00
      Lambda compute x86_64, eu-west-2, first 6 billion GB-s                      1.254  GB-s              $0.00
      CloudWatch Logs of pings, eu-west-2                                       0.00374  GiB               $0.00
      Lambda compute arm64, eu-west-2, first 7.5 billion GB-s                   2,122.1  GB-s              $0.03
      S3 GET requests, eu-west-2                                                    250  request           $0.00
      S3 egress by nat-gateway, eu-west-2                                        51.223  GiB               $2.56
      Lambda requests, us-east-1                                                  6,000  request           $0.00
      Lambda compute arm64, us-east-1, first 7.5 billion GB-s                     2,030  GB-s              $0.03
      S3 GET requests, us-east-1                                                    250  request           $0.00
      S3 egress by nat-gateway, us-east-1                                        51.223  GiB               $2.31
      CloudWatch Logs of pings, us-east-1                                       0.00224  GiB               $0.00
      warmd itself: Lambda requests, eu-west-2                                   10,080  request           $0.00
      warmd itself: Lambda compute arm64, eu-west-2, first 7.5 billion GB-s     4,316.1  GB-s              $0.06
      warmd itself: CloudWatch metrics, eu-west-2, first 10,000 metric-months     2.992  metric-month      $0.90
      warmd itself: CloudWatch dashboards, eu-west-2                               0.23  dashboard-month   $0.69
      warmd itself: CloudWatch alarms, eu-west-2                                  5.523  alarm-month       $0.55
      warmd itself: CloudWatch composite alarms, eu-west-2                         0.46  alarm-month       $0.23
      warmd itself: PutMetricData requests, eu-west-2                            10,080  request           $0.10
      warmd itself: CloudWatch Logs, eu-west-2                                   0.0124  GiB               $0.01
      warmd itself: EventBridge events, eu-west-2                                10,080  event             $0.01
      estimates at list prices, without free tiers; * depends on assumptions
    --- stderr
    ");
}

#[test]
fn the_cost_objects_are_exact() {
    let (_folder, path) = shop();
    let object = with(&["plan", &path, "--json"], &WEEK).json();
    let search = &object["functions"][0]["cost"];
    assert_eq!(keys(search), ["pings", "cold_starts", "s3_egress_bytes", "lines", "total", "assumed"]);
    assert_eq!(keys(&search["lines"][0]), ["item", "quantity", "unit", "unit_price", "amount"]);
    // Five days of ten hours, and a new environment every two.
    assert_eq!((&search["pings"], &search["cold_starts"]), (&json!(6_000), &json!(250)));
    assert_eq!(search["s3_egress_bytes"], 250 * 220_000_000_u64);
    assert_eq!(
        search["assumed"],
        json!(["idle_life", "recycle_after", "ping_duration", "log_bytes_per_ping"])
    );
    let checkout = &object["functions"][2]["cost"];
    assert_eq!(checkout["assumed"], json!([]));
    let all = &object["cost"];
    assert_eq!(keys(all), ["lines", "total", "observing_usd", "by_owner"]);
    assert_eq!(keys(&all["by_owner"]), ["", "payments", "search"]);
    let sum: f64 = amounts(all, "").iter().map(|amount| amount.parse::<f64>().unwrap()).sum();
    assert_eq!(all["total"], format!("{sum:.2}"));
    let own = all["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["item"].as_str().unwrap().starts_with("warmd itself"));
    assert_eq!(own.count(), 9);
    let observing = ["CloudWatch ", "PutMetricData "].map(|of| amounts(all, &format!("warmd itself: {of}")));
    let observing: f64 = observing.concat().iter().map(|amount| amount.parse::<f64>().unwrap()).sum();
    assert_eq!(all["observing_usd"], format!("{observing:.2}"));
    // The cost of one function excludes that of warmd itself.
    let one = with(&["plan", &path, "--json", "--function", "checkout"], &WEEK).json();
    assert_eq!(one["cost"]["total"], one["functions"][0]["cost"]["total"]);
}

#[test]
fn targets_without_pings_have_no_assumptions() {
    let (_folder, path) = shop();
    let object =
        run(&["plan", &path, "--json", "--function", "report", "--from", "2026-11-16", "--for", "1d"]).json();
    assert_eq!(
        object["functions"][0]["cost"],
        json!({"pings": 0, "cold_starts": 0, "s3_egress_bytes": 0, "lines": [], "total": "0.00", "assumed": []})
    );
}

#[test]
fn four_weeks_of_nlp_by_ping_download_1_89_terabytes() {
    let object = with(&["plan", "--json", "--function", "nlp-by-ping"], &FEBRUARY).json();
    let function = &object["functions"][0];
    assert_eq!((&function["rounds"], &function["pings"]), (&json!(860), &json!(8_600)));
    let gets =
        function["cost"]["lines"].as_array().unwrap().iter().find(|line| line["item"] == "S3 GET requests");
    assert_eq!(gets.unwrap()["quantity"], "8600");
    assert_eq!(function["cost"]["s3_egress_bytes"], 1_892_000_000_000_u64);
    assert_eq!(
        function["cost"]["cold_starts"], 8_600,
        "rounds are further apart than idle environments live"
    );
    let text = with(&["plan", "--function", "nlp-by-ping"], &FEBRUARY).stdout;
    assert!(text.contains("8,600 cold starts, 1.72 TiB from S3"), "{text}");
}

#[test]
fn a_comparison_shows_every_alternative() {
    let compare = ["compare", "--function", "nlp-by-ping"];
    insta::assert_snapshot!(with(&compare, &FEBRUARY).shown(), @"
    exit 0
    --- stdout
    28d from 2026-02-02 00:00 UTC until 2026-03-02 00:00 UTC

    nlp-by-ping (us-east-1): up to 10 environments, 8,600 pings
      OPTION                   COLD STARTS     TOTAL  NOTE
      pings                          8,600   $82.87*
      provisioned, in windows            0   $35.64*  1,000 environments created in advance
      provisioned, always                0  $132.60*  3,360 environments created in advance
      managed instances                  0  $413.84*  3 × c7i.xlarge
      EC2 instances                      0  $359.86*  3 × c7i.xlarge
    > no warming                     1,245   $12.00*  cheapest; 1,245 users would wait for a cold start
      provisioned concurrency breaks even when its environments are busy 60 % of the time
      no advice on the strategy: provisioned concurrency needs an alias or a version
      * assumed: idle_life 5m, ping_duration 5ms, log_bytes_per_ping 400, architecture x86_64
    --- stderr
    ");
    let object = with(&[&compare[..], &["--json"]].concat(), &FEBRUARY).json();
    assert_eq!(keys(&object), ["functions", "pipelines", "observing_usd"]);
    assert_eq!(object["observing_usd"], Value::Null, "warmd observes the whole fleet");
    let function = &object["functions"][0];
    assert_eq!(
        keys(function),
        [
            "function",
            "region",
            "tenant",
            "strategy",
            "options",
            "cheapest",
            "break_even_utilisation",
            "advice"
        ]
    );
    let advice = json!({"strategy": null, "saves_usd": null, "line": null, "reason": "no-qualifier"});
    assert_eq!(function["advice"], advice);
    assert_eq!(function["break_even_utilisation"], vector("B1")["value"]);
    let options = function["options"].as_array().unwrap();
    let names: Vec<&Value> = options.iter().map(|option| &option["option"]).collect();
    assert_eq!(
        names,
        ["pings", "provisioned-windows", "provisioned-always", "managed-instances", "ec2", "nothing"]
    );
    for option in options {
        assert_eq!(keys(option), ["option", "total", "cold_starts", "lines"]);
        let sum: f64 = amounts(option, "").iter().map(|amount| amount.parse::<f64>().unwrap()).sum();
        assert_eq!(option["total"], format!("{sum:.2}"));
    }
    let total = |option: &Value| option["total"].as_str().unwrap().parse::<f64>().unwrap();
    let least = options.iter().min_by(|one, other| total(one).total_cmp(&total(other))).unwrap();
    assert_eq!(function["cheapest"], least["option"]);
}

#[test]
fn a_comparison_gives_the_line_of_the_cheaper_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        folder.path(),
        "f.yaml",
        "\
version: 1
defaults: { region: us-east-1, timezone: UTC }
functions:
  f:live:
    memory: 1024MB
    windows: [{ days: mon-fri, hours: \"08:00-18:00\", concurrency: 10 }]
",
    );
    let dear = write(folder.path(), "prices.yaml", "lambda.requests: 0.01\n");
    let [path, dear] = [path, dear].map(|path| path.to_str().unwrap().to_owned());
    let advice = |more: &[&str]| {
        let args = [&["compare", &path, "--json", "--from", "2026-11-23"], more].concat();
        let function = run(&args).json()["functions"][0].clone();
        assert_eq!(function["strategy"], "pings");
        function["advice"].clone()
    };
    let keep = json!({"strategy": "pings", "saves_usd": null, "line": null, "reason": "already-cheaper"});
    assert_eq!(advice(&[]), keep);
    insta::assert_snapshot!(advice(&["--prices", &dear]).to_string(), @r#"{"strategy":"provisioned","saves_usd":"230.58","line":"strategy: provisioned   # $33.61 instead of $264.19 a month","reason":null}"#);
    insta::assert_snapshot!(advice(&["--prices", &dear, "--for", "7d"])["line"], @r#""strategy: provisioned   # $7.64 instead of $60.04 in 7d""#);
    let text = run(&["compare", &path, "--from", "2026-11-23", "--prices", &dear]).stdout;
    let line = text.lines().find(|line| line.contains("strategy"));
    assert_eq!(line.unwrap().trim(), advice(&["--prices", &dear])["line"].as_str().unwrap());
}

#[test]
fn a_comparison_without_traffic_leaves_nothing_unknown() {
    let (_folder, path) = shop();
    let object = run(&["compare", &path, "--json", "--function", "checkout", "--from", "2026-11-16"]).json();
    let nothing = &object["functions"][0]["options"][5];
    assert_eq!(*nothing, json!({"option": "nothing", "total": null, "cold_starts": null, "lines": []}));
    // The price book has no instances for London.
    assert_eq!(object["functions"][0]["options"][4]["total"], Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let prices = write(folder.path(), "prices.yaml", "ec2.m7g.large: { price: 0.1, region: eu-west-2 }\n");
    let prices = prices.to_str().unwrap();
    let object = run(&[
        "compare",
        &path,
        "--json",
        "--function",
        "checkout",
        "--from",
        "2026-11-16",
        "--prices",
        prices,
    ])
    .json();
    // Three instances for thirty days.
    assert_eq!(object["functions"][0]["options"][4]["total"], "216.00");
}

#[test]
fn a_difference_shows_costs() {
    let (folder, old) = shop();
    let new = SHOP
        .replace("concurrency: 10", "concurrency: 12")
        .replace("size: 220MB, route: nat-gateway", "size: 220MB, route: nat-gateway, per: ping")
        .replace("  report:", "  thumbnails:")
        .replace("init_duration: 1s", "init_duration: 60s");
    let new = write(folder.path(), "new.yml", &new);
    let new = new.to_str().unwrap();
    let diff = |more: &[&str]| with(&[&["diff", &old, new][..], more].concat(), &WEEK);
    insta::assert_snapshot!(diff(&[]).shown(), @"
    exit 0
    --- stdout
      FUNCTION     REGION     HIGHEST          PINGS              COST  OTHER
    ~ search:live  eu-west-2  10 → 12  6,000 → 7,200  $2.59* → $73.79*  downloads 220 MB by nat-gateway → 220 MB by nat-gateway per ping
    ~ search:live  us-east-1  10 → 12  6,000 → 7,200  $2.34* → $66.41*  downloads 220 MB by nat-gateway → 220 MB by nat-gateway per ping
    ~ checkout     eu-west-2        2          4,032     $0.00 → $0.07  init_duration 1s → 1m
    + thumbnails   eu-west-2        1              6            $0.00*
    - report       eu-west-2        1              6            $0.00*

    5 targets: 1 added, 3 changed, 1 removed; pings of these in the 7d from 2026-11-16 00:00 UTC: 16,038 → 18,438

      OWNER         COST BEFORE  COST AFTER
      payments            $0.00       $0.07
      search             $4.93*    $140.20*
      warmd itself       $2.55*      $2.70*
      total              $7.48*    $142.97*

      estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists
    --- stderr
    ");
    insta::assert_snapshot!(diff(&["--format", "markdown"]).shown(), @r"
    exit 0
    --- stdout
    **warmd**: 5 targets: 1 added, 3 changed, 1 removed; pings of these in the 7d from 2026-11-16 00:00 UTC: 16,038 → 18,438

    | | function | region | highest | pings | cost | other |
    |---|---|---|---:|---:|---:|---|
    | `~` | `search:live` | eu-west-2 | 10 → 12 | 6,000 → 7,200 | $2.59\* → $73.79\* | downloads 220 MB by nat-gateway → 220 MB by nat-gateway per ping |
    | `~` | `search:live` | us-east-1 | 10 → 12 | 6,000 → 7,200 | $2.34\* → $66.41\* | downloads 220 MB by nat-gateway → 220 MB by nat-gateway per ping |
    | `~` | `checkout` | eu-west-2 | 2 | 4,032 | $0.00 → $0.07 | init_duration 1s → 1m |
    | `+` | `thumbnails` | eu-west-2 | 1 | 6 | $0.00\* |  |
    | `-` | `report` | eu-west-2 | 1 | 6 | $0.00\* |  |

    | owner | cost before | cost after |
    |---|---:|---:|
    | payments | $0.00 | $0.07 |
    | search | $4.93\* | $140.20\* |
    | warmd itself | $2.55\* | $2.70\* |
    | total | $7.48\* | $142.97\* |

    estimates at list prices, without free tiers; \* depends on assumptions, which `warmd plan` lists
    --- stderr
    ");
    let object = diff(&["--format", "json"]).json();
    let date = ["diff", &old, new, "--format", "json", "--for", "7d", "--from", "2026-11-16"];
    assert_eq!(run(&date).json(), object);
    assert_eq!(keys(&object), ["settings", "pipelines", "changes", "before_total", "after_total"]);
    assert_eq!(
        object["changes"][0]["before"],
        json!({"strategy": "pings", "pings": 6_000, "cold_starts": 250, "s3_egress_bytes": 55_000_000_000_u64, "total": "2.59"})
    );
    let total = |path: &str| with(&["plan", path, "--json"], &WEEK).json()["cost"]["total"].clone();
    assert_eq!((&object["before_total"], &object["after_total"]), (&total(&old), &total(new)));
}

#[test]
fn a_pull_request_is_judged_by_its_cost() {
    let (folder, old) = shop();
    let dearer = SHOP.replace("concurrency: 10", "concurrency: 12");
    let dearer = write(folder.path(), "new.yml", &dearer).to_str().unwrap().to_owned();
    let diff = |old: &str, new: &str, more: &[&str]| with(&[&["diff", old, new][..], more].concat(), &WEEK);
    let silent = |done: &Done| done.stdout.is_empty() && done.stderr.is_empty() && done.code == 0;
    for format in ["table", "json", "markdown"] {
        let rise = ["--only-if-increase", "--format", format, "--exit-code", "--fail-above", "0"];
        assert!(silent(&diff(&dearer, &old, &rise)), "{format}: cheaper");
        assert!(silent(&diff(&old, &old, &rise)), "{format}: the same");
        let shown = diff(&old, &dearer, &rise);
        assert_eq!((shown.code, shown.stdout.is_empty()), (5, false), "{format}: 5 goes before 4");
        let whole = diff(&old, &dearer, &["--format", format]);
        assert_eq!(shown.stdout, whole.stdout);
    }
    assert_eq!(diff(&old, &dearer, &["--only-if-increase", "--exit-code"]).code, 4);
    let limit = |usd: &str| diff(&dearer, &old, &["--fail-above", usd, "--exit-code"]);
    // A total that falls may still be too high.
    let above = limit("0");
    let cost = above.stderr.strip_prefix("error: the configuration costs $").unwrap();
    let (cost, rest) = cost.split_once(' ').unwrap();
    assert_eq!((above.code, rest), (5, "a month: more than the limit of $0.00\n"));
    let whole = diff(&dearer, &old, &["--format", "json"]).json();
    let week: f64 = whole["after_total"].as_str().unwrap().parse().unwrap();
    assert_eq!(cost, format!("{:.2}", week * 730.0 / 168.0));
    let cents = cost.replace('.', "").parse::<u32>().unwrap();
    let below = limit(&format!("{}.99", cents / 100));
    assert_eq!((below.code, below.stderr.as_str()), (4, ""));
    assert_eq!(limit(&(cents / 100).to_string()).code, 5);
    for wrong in ["-1", "1,5", "$5", "NaN", ""] {
        assert_eq!(limit(wrong).code, 2, "{wrong}");
    }
    // No price of a NAT gateway there.
    let unknown = SHOP.replace("us-east-1", "me-south-1");
    let unknown = write(folder.path(), "unknown.yml", &unknown).to_str().unwrap().to_owned();
    let limit = |usd: &str| {
        let done = diff(&old, &unknown, &["--only-if-increase", "--fail-above", usd]);
        let (before, rest) = done.stderr.split_once("costs $").unwrap();
        format!("exit {}\n{before}costs {}", done.code, rest.split_once(' ').unwrap().1)
    };
    insta::assert_snapshot!(limit("1000"), @"
    exit 0
    warning: the configuration costs a month, and Lambda requests, me-south-1 and 4 more, whose prices are unknown: the limit of $1,000.00 cannot be checked
    hint: set these prices with --prices
    ");
    insta::assert_snapshot!(limit("1"), @"
    exit 5
    error: the configuration costs a month, and Lambda requests, me-south-1 and 4 more, whose prices are unknown: more than the limit of $1.00
    ");
}

#[test]
fn a_change_of_prices_is_a_difference() {
    let (folder, old) = shop();
    let new = SHOP.replace("functions:", "prices: { nat-gateway.gb: 5 }\nfunctions:");
    let new = write(folder.path(), "new.yml", &new);
    let done = with(&["diff", &old, new.to_str().unwrap(), "--exit-code"], &WEEK);
    insta::assert_snapshot!(done.shown(), @"
    exit 4
    --- stdout
      FUNCTION     REGION     HIGHEST  PINGS               COST
    ~ search:live  eu-west-2       10  6,000  $2.59* → $256.14*
    ~ search:live  us-east-1       10  6,000  $2.34* → $256.14*

    2 targets: 0 added, 2 changed, 0 removed; pings of these in the 7d from 2026-11-16 00:00 UTC: 12,000 → 12,000

      OWNER   COST BEFORE  COST AFTER
      search       $4.93*    $512.28*
      total        $7.48*    $514.83*

      estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists
    --- stderr
    ");
}

#[test]
fn prices_of_a_file_take_precedence_over_the_configuration() {
    let (folder, _) = shop();
    let own = SHOP.replace("functions:", "prices: { nat-gateway.gb: 5 }\nfunctions:");
    let own = write(folder.path(), "own.yml", &own);
    let prices = write(folder.path(), "prices.yml", "nat-gateway.gb: { price: 7, region: us-east-1 }\n");
    let nat = |more: &[&str]| -> Vec<Value> {
        let object = with(&[&["plan", own.to_str().unwrap(), "--json"][..], more].concat(), &WEEK).json();
        let line = |index: usize| {
            let lines = object["functions"][index]["cost"]["lines"].as_array().unwrap().clone();
            lines.into_iter().find(|line| line["item"].as_str().unwrap().contains("egress")).unwrap()
        };
        vec![line(0)["unit_price"].clone(), line(1)["unit_price"].clone()]
    };
    assert_eq!(nat(&[]), ["5", "5"]);
    assert_eq!(nat(&["--prices", prices.to_str().unwrap()]), ["5", "7"]);
}

#[test]
fn a_round_uses_the_prices_of_the_configuration() {
    let (folder, path) = shop();
    let round = |args: &[&str]| {
        let args =
            [args, &["run", "--once", "--local", "--json", "--at", "2026-11-16T09:00:00Z"][1..]].concat();
        let object = run(&[&["run"], &args[..]].concat()).json();
        object["rounds"][0]["cost_usd"]["requests"].clone()
    };
    assert_eq!(round(&[&path]), "0.0000020");
    let dear = SHOP.replace("functions:", "prices: { lambda.requests: 1 }\nfunctions:");
    let dear = write(folder.path(), "dear.yml", &dear);
    assert_eq!(round(&[dear.to_str().unwrap()]), "10.0000000");
    let prices = write(folder.path(), "prices.yml", "lambda.requests: 2\n");
    assert_eq!(round(&[dear.to_str().unwrap(), "--prices", prices.to_str().unwrap()]), "20.0000000");
}

#[test]
fn usage_errors_name_the_expected_value() {
    let folder = tempfile::tempdir().unwrap();
    let prices = write(folder.path(), "prices.yml", "nat-gateway.bg: 1\n");
    let prices = prices.to_str().unwrap();
    let done = run(&["price", "book", "--prices", prices]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("did you mean `nat-gateway.gb`?"), "{}", done.stderr);
    for (command, part) in [
        ("price lambda --region us-east-1 --memory 1536", "write `1536MB`"),
        ("price lambda --region us-east-1 --memory 1536MB --requests 5", "--duration"),
        ("price lambda --region us-east-1 --memory 1536MB --provisioned 5", "--provisioned-for"),
        ("price egress --region us-east-1 --size 1GiB --route nat", "expected one of"),
        ("price egress --region us-east-1 --size 1GiB --route inter-region", "inter-region:us-east-1"),
        ("price egress --region us-eats-1 --size 1GiB --route internet", "did you mean `us-east-1`?"),
        ("price ec2 --region us-east-1 --instance large --hours 1", "m7g.xlarge"),
        ("price book --prices /nowhere.yaml", "cannot read"),
        ("compare --function nothing", "is not in the configuration"),
        ("compare --from 2026-02-02 --for 0d", "--for must be longer than 0"),
        (
            "plan --from 2026-02-02 --until 2026-02-01",
            "--until (2026-02-01 00:00 UTC) must be after --from (2026-02-02 00:00 UTC)",
        ),
    ] {
        let done = run(&command.split_whitespace().collect::<Vec<_>>());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{command}");
        assert!(done.stderr.contains(part), "{command}: {}", done.stderr);
    }
}
