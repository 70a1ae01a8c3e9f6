use serde_json::Value;

use super::*;

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn virginia() -> Region {
    region("us-east-1")
}

fn number(value: &Value) -> Decimal {
    value.to_string().trim_matches('"').parse().unwrap()
}

fn vector(id: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../../../tests/vectors/cost.json")).unwrap();
    file["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id).unwrap().clone()
}

fn ms(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap())
}

/// Returns the amount and the quantity of the lines whose item starts with `name`.
fn line(bill: &Bill, name: &str) -> (Decimal, Decimal) {
    let lines = bill.lines.iter().filter(|line| line.item.starts_with(name));
    lines.fold((Decimal::ZERO, Decimal::ZERO), |(amount, quantity), line| {
        (amount + line.amount().unwrap(), quantity + line.quantity)
    })
}

fn lambda_use(vector: &Value) -> LambdaUsage {
    let architecture = if vector["arch"] == "arm64" { Architecture::Arm64 } else { Architecture::X86_64 };
    LambdaUsage {
        requests: vector["requests"].as_u64().unwrap_or(0),
        duration: vector.get("avg_ms").map_or(Duration::ZERO, ms),
        free_tier: match &vector["free_tier"] {
            Value::Bool(true) | Value::String(_) => FreeTier::Used,
            _ => FreeTier::Ignored,
        },
        ephemeral_mb: vector["ephemeral_mb"].as_u64().map_or(512, |mb| mb as u32),
        ..LambdaUsage::new(architecture, vector["mem_mb"].as_u64().unwrap() as u32)
    }
}

#[test]
fn worked_examples_of_lambda_on_demand() {
    for id in ["L1", "L2", "L3", "I1", "I2", "I4"] {
        let vector = vector(id);
        let used = lambda_use(&vector);
        let bill = lambda(&PriceBook::embedded(), virginia(), &used);
        assert_eq!(line(&bill, "Lambda requests").0, number(&vector["request"]), "{id}");
        if let Some(compute) = vector.get("compute") {
            assert_eq!(line(&bill, "Lambda compute").0, number(compute), "{id}");
        }
        if let Some(ephemeral) = vector.get("ephemeral") {
            assert_eq!(line(&bill, "Ephemeral").0, number(ephemeral), "{id}");
        }
        if let Some(total) = vector.get("total") {
            assert_eq!(bill.total(), Some(number(total)), "{id}");
        }
        if used.free_tier == FreeTier::Ignored {
            assert_eq!(line(&bill, "Lambda compute").1, number(&vector["gb_s"]), "{id}");
        }
    }
}

#[test]
fn worked_example_of_tiers_of_duration() {
    let vector = vector("I4");
    let bill = lambda(&PriceBook::embedded(), virginia(), &lambda_use(&vector));
    let tiers: Vec<Decimal> = bill.lines[1..].iter().map(|line| line.amount().unwrap()).collect();
    let expected: Vec<Decimal> = vector["tiers"].as_array().unwrap().iter().map(number).collect();
    assert_eq!(tiers, expected);
    let names: Vec<&str> = bill.lines[1..].iter().map(|line| &*line.item).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    Lambda compute arm64, first 7.5 billion GB-s
    Lambda compute arm64, next 11.25 billion GB-s
    Lambda compute arm64, over 18.75 billion GB-s
    ");
}

#[test]
fn worked_example_of_provisioned_concurrency() {
    let vector = vector("L4");
    let used = LambdaUsage {
        requests: vector["od_requests"].as_u64().unwrap(),
        duration: ms(&vector["od_avg_ms"]),
        provisioned: Some(ProvisionedUsage {
            concurrency: vector["pc"].as_u64().unwrap(),
            provisioned_for: Duration::from_secs(vector["pc_seconds"].as_u64().unwrap()),
            requests: vector["pc_requests"].as_u64().unwrap(),
            duration: ms(&vector["pc_avg_ms"]),
        }),
        ..lambda_use(&vector)
    };
    let bill = lambda(&PriceBook::embedded(), virginia(), &used);
    assert_eq!(
        line(&bill, "Provisioned concurrency"),
        (number(&vector["pc_charge"]), number(&vector["pc_gb_s"]))
    );
    assert_eq!(line(&bill, "Provisioned compute").0, number(&vector["pc_duration"]));
    assert_eq!(line(&bill, "Lambda compute").0, number(&vector["od_duration"]));
    assert_eq!(line(&bill, "Lambda requests").0, number(&vector["request"]));
    assert_eq!(bill.total(), Some(number(&vector["total"])));
    assert_eq!(serde_json::to_value(&bill).unwrap()["total"], "19.96");
}

fn internet(gib: u64, free_gib: u64) -> EgressUsage {
    EgressUsage {
        route: Route::Internet,
        bytes: gib << 30,
        free_bytes: free_gib << 30,
        hours: Decimal::ZERO,
        gets: 0,
        puts: 0,
    }
}

#[test]
fn worked_examples_of_egress_to_the_internet() {
    for id in ["S1", "I7", "I9"] {
        let vector = vector(id);
        let place = vector["region"].as_str().unwrap_or("us-east-1");
        let used = internet(vector["egress_gb"].as_u64().unwrap(), vector["free_gb"].as_u64().unwrap());
        let bill = egress(&PriceBook::embedded(), region(place), &used);
        let tiers = bill.lines.iter().map(|line| [Some(line.quantity), line.unit_price, line.amount()]);
        let expected =
            vector["tiers"].as_array().unwrap().iter().map(|tier| [0, 1, 2].map(|i| Some(number(&tier[i]))));
        assert_eq!(tiers.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{id}");
        assert_eq!(bill.total(), Some(number(&vector["total"])), "{id}");
    }
}

#[test]
fn worked_example_of_s3_requests() {
    let vector = vector("S2");
    let count = |key: &str| vector[key].as_u64().unwrap();
    let used =
        EgressUsage { route: Route::SameRegion, gets: count("get"), puts: count("put"), ..internet(0, 0) };
    let bill = egress(&PriceBook::embedded(), virginia(), &used);
    assert_eq!(line(&bill, "S3 GET").0, number(&vector["get_cost"]));
    assert_eq!(line(&bill, "S3 PUT").0, number(&vector["put_cost"]));
    let deletes =
        PriceBook::embedded().price(&Item::S3Delete, virginia()).unwrap() * number(&vector["delete"]);
    assert_eq!(deletes, number(&vector["delete_cost"]));
}

#[test]
fn break_even_of_provisioned_concurrency() {
    let share = break_even_utilisation(&PriceBook::embedded(), virginia(), Architecture::X86_64);
    assert_eq!(share.unwrap().to_string(), vector("B1")["value"].as_str().unwrap());
    assert_eq!(
        break_even_utilisation(&PriceBook::embedded(), region("me-south-1"), Architecture::X86_64),
        None
    );
}

#[test]
fn snapstart_tenants_and_storage_depend_on_memory() {
    let used = LambdaUsage {
        requests: 1_000_000,
        duration: Duration::from_millis(100),
        ephemeral_mb: 1024,
        provisioned: Some(ProvisionedUsage {
            concurrency: 1,
            provisioned_for: Duration::from_secs(3600),
            requests: 1_000_000,
            duration: Duration::from_millis(100),
        }),
        snapstart_cache_gb_s: Decimal::from(2_600_000),
        snapstart_restores: 1_000,
        tenant_environments: 1_000,
        ..LambdaUsage::new(Architecture::X86_64, 2048)
    };
    let bill = lambda(&PriceBook::embedded(), virginia(), &used);
    assert_eq!(line(&bill, "Ephemeral").1, Decimal::from(100_000));
    assert_eq!(line(&bill, "SnapStart cache").0, "3.91".parse().unwrap());
    assert_eq!(line(&bill, "SnapStart restore"), ("0.28".parse().unwrap(), Decimal::from(2_000)));
    assert_eq!(line(&bill, "Tenant"), ("0.33".parse().unwrap(), Decimal::from(2_000)));
}

#[test]
fn only_gateways_are_billed_by_hour() {
    let bill = |route| {
        let used = EgressUsage { route, hours: Decimal::from(730), ..internet(100, 0) };
        egress(&PriceBook::embedded(), virginia(), &used)
    };
    assert_eq!(bill(Route::NatGateway).total().unwrap().to_string(), "37.35");
    assert_eq!(bill(Route::InterfaceEndpoint).total().unwrap().to_string(), "8.30");
    assert_eq!(bill(Route::SameRegion).total().unwrap().to_string(), "0.00");
    assert_eq!(
        bill(Route::InterRegion { bucket_region: region("us-east-2") }).total().unwrap().to_string(),
        "1.00"
    );
}

#[test]
fn fee_of_managed_instances_applies_to_on_demand_price() {
    let mut used = ManagedUsage {
        instance: "m7g.xlarge".to_owned(),
        hours: Decimal::from(2_000),
        requests: 100_000_000,
        hourly: None,
    };
    let list = managed(&PriceBook::embedded(), virginia(), &used);
    assert_eq!(list.total().unwrap().to_string(), "395.36");
    used.hourly = Some("0.0457".parse().unwrap());
    let discounted = managed(&PriceBook::embedded(), virginia(), &used);
    assert_eq!(discounted.total().unwrap().to_string(), "160.36");
    assert_eq!(line(&discounted, "Managed instances fee").0.to_string(), "48.96");

    let plain = ec2(&PriceBook::embedded(), virginia(), "m7g.xlarge", 2, Decimal::from(730));
    assert_eq!(plain.total().unwrap().to_string(), "238.27");
    assert_eq!(ec2(&PriceBook::embedded(), virginia(), "x9.huge", 2, Decimal::from(730)).total(), None);
}

#[test]
fn cloudwatch_is_prorated_and_free_tier_is_optional() {
    let mut used = CloudWatchUsage {
        metrics: 20,
        dashboards: 4,
        alarms: 11,
        held: Duration::from_secs(730 * 3600 / 2),
        put_requests: 1_500_000,
        log_bytes: 1 << 30,
        free_tier: FreeTier::Ignored,
    };
    let total = |used: &CloudWatchUsage| {
        cloudwatch(&PriceBook::embedded(), virginia(), used).total().unwrap().to_string()
    };
    assert_eq!(total(&used), "25.05");
    used.free_tier = FreeTier::Used;
    assert_eq!(total(&used), "8.55");
}

#[test]
fn largest_numbers_do_not_panic() {
    let used = LambdaUsage {
        requests: u64::MAX,
        duration: Duration::MAX,
        free_tier: FreeTier::Used,
        ephemeral_mb: u32::MAX,
        provisioned: Some(ProvisionedUsage {
            concurrency: u64::MAX,
            provisioned_for: Duration::MAX,
            requests: u64::MAX,
            duration: Duration::MAX,
        }),
        snapstart_cache_gb_s: Decimal::MAX,
        snapstart_restores: u64::MAX,
        tenant_environments: u64::MAX,
        ..LambdaUsage::new(Architecture::Arm64, u32::MAX)
    };
    let prices = PriceBook::embedded();
    let _ = lambda(&prices, virginia(), &used).total();
    let most = EgressUsage {
        route: Route::NatGateway,
        bytes: u64::MAX,
        free_bytes: u64::MAX,
        hours: Decimal::MAX,
        gets: u64::MAX,
        puts: u64::MAX,
    };
    let _ = egress(&prices, virginia(), &most).total();
    let _ = ec2(&prices, virginia(), "m7g.xlarge", u64::MAX, Decimal::MAX).total();
    let used = CloudWatchUsage {
        metrics: u64::MAX,
        dashboards: u64::MAX,
        alarms: u64::MAX,
        held: Duration::MAX,
        put_requests: u64::MAX,
        log_bytes: u64::MAX,
        free_tier: FreeTier::Used,
    };
    let _ = cloudwatch(&prices, virginia(), &used).total();
}
