//! `dashboard`, `iam` and `lambda-event`, and S3 and bus options.

use serde_json::{Value, json};

use crate::support::{Done, Emulate, closed_endpoint, done, root, run, warmd, with_aws, write};

const ROLES: &str = "version: 1
defaults: { region: eu-west-2 }
functions:
  own: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  far:
    role_arn: arn:aws:iam::210987654321:role/warmed
    external_id: s3cret
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
";

/// Runs `warmd iam` on [`ROLES`].
fn iam(flags: &[&str]) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "fleet.yaml", ROLES);
    run(&[&["iam", file.to_str().unwrap(), "--region", "eu-west-2"], flags].concat())
}

#[test]
fn policies_of_assumed_roles_are_preceded_by_their_role() {
    let printed = iam(&["--account", "111122223333"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = printed.stdout.lines().collect();
    let [own_role, own, role, theirs, trust] = lines[..] else { panic!("{lines:#?}") };
    assert_eq!((own_role, role), ("# the warmer's own role", "# arn:aws:iam::210987654321:role/warmed"));
    let account = |document: &str, account: &str| {
        serde_json::from_str::<Value>(document).unwrap();
        document.contains(&format!(":lambda:eu-west-2:{account}:"))
    };
    assert!(account(own, "111122223333") && !account(own, "210987654321"), "{own}");
    assert!(own.contains("sts:AssumeRole") && !theirs.contains("sts:AssumeRole"));
    assert!(account(theirs, "210987654321") && !account(theirs, "111122223333"), "{theirs}");
    let trust: Value = serde_json::from_str(trust.split_once(": ").unwrap().1).unwrap();
    let statement = &trust["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], json!(["s3cret"]));
    let open = iam(&[]);
    assert_eq!(open.stdout.lines().last(), Some("# its trust policy: pass --account to print it"));
}

#[test]
fn the_default_region_is_that_of_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let profile = write(folder.path(), "config", "[default]\nregion = eu-central-1\n");
    let commands = [&["dashboard", "--print"][..], &["iam", "--bus", "default"]];
    for args in commands {
        let failed = run(args);
        assert_eq!((failed.code, failed.stdout.as_str()), (2, ""));
        assert!(failed.stderr.contains("--region"), "{}", failed.stderr);
        let mut command = warmd(args);
        command.env("AWS_CONFIG_FILE", &profile);
        let found = done(command);
        assert_eq!(found.code, 0, "{}", found.stderr);
        assert!(
            found.stdout.contains("eu-central-1") && !found.stdout.contains("us-east-1\""),
            "{}",
            found.stdout
        );
        let mut command = warmd(args);
        command.env("AWS_REGION", "eu-west-3");
        assert!(done(command).stdout.contains("eu-west-3"));
    }
}

/// The template sets no name for the function.
#[test]
fn the_example_uses_the_function_name_of_the_stack() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    assert!(!template.contains(" FunctionName: warmd") && template.contains("\n  FunctionName:\n"));
    let help = run(&["lambda-event", "--help"]).stdout;
    assert!(
        help.contains("output `FunctionName` of the stack") && !help.contains("--function-name warmd"),
        "{help}"
    );
}

#[test]
fn a_request_over_the_bus_names_it_and_keeps_all_options() {
    let folder = tempfile::tempdir().unwrap();
    let emulate = Emulate::start(folder.path(), "default: {}\n");
    let warm = |more: &[&str]| {
        let command = warmd(&[&["warm", "nlp:live", "-n", "5"], more].concat());
        with_aws(command, &emulate.endpoint)
    };
    let asked = done(warm(&["--via-bus"])).stdout;
    assert_eq!(asked, "requested 5 environments of nlp:live on the bus default in eu-west-2\n");
    let mut command = warm(&["--via-bus"]);
    let theirs = done({
        command.env("WARMD_BUS", "theirs");
        command
    });
    assert!(
        theirs.stdout.ends_with(" on the bus theirs in eu-west-2\n"),
        "{}{}",
        theirs.stdout,
        theirs.stderr
    );
    // Options that the Lambda would refuse or ignore.
    for more in [&["--for", "0s"][..], &["--protocol", "bref"], &["--hold", "75ms"]] {
        let refused = done(warm(&[&["--via-bus"], more].concat()));
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{more:?}");
    }
    for more in [["--bus", "x"], ["--for", "5m"], ["--reason", "why"]] {
        let direct = done(warm(&[&["--local"], &more[..]].concat()));
        assert_eq!((direct.code, direct.stderr.contains("--via-bus")), (2, true), "{}", direct.stderr);
    }
    let mut command = warm(&["--local"]);
    command.env("WARMD_BUS", "theirs");
    assert_eq!(done(command).code, 0, "WARMD_BUS does not conflict with --local");
}

/// Runs the examples of the help text.
#[test]
fn the_examples_of_explain_match_warm_configs() {
    let help = run(&["explain", "--help"]).stdout;
    let examples: Vec<&str> =
        help.lines().filter_map(|line| line.trim().strip_prefix("warmd explain ")).collect();
    assert_eq!(examples.len(), 2, "{help}");
    for example in examples {
        let args: Vec<&str> = ["explain"].into_iter().chain(example.split_whitespace()).collect();
        let shown = run(&args);
        assert_eq!(shown.code, 0, "{example}: {}", shown.stderr);
    }
}

#[test]
fn invalid_s3_uris_exit_with_2_and_unreachable_buckets_with_1() {
    for odd in ["S3://bucket/configs", "s3:/bucket/configs"] {
        let done = run(&["check", odd]);
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains("s3://bucket/prefix"), "{}", done.stderr);
    }
    let closed = closed_endpoint();
    for command in ["check", "plan"] {
        let failed = done(with_aws(warmd(&[command, "s3://bucket/configs"]), &closed));
        assert_eq!((failed.code, failed.stdout.as_str()), (1, ""), "{command}: {}", failed.stderr);
    }
    let without_region = run(&["check", "s3://bucket/configs"]);
    assert_eq!(without_region.code, 2);
    let stderr = &without_region.stderr;
    assert!(stderr.contains("no AWS region is configured: set AWS_REGION"), "{stderr}");
}
