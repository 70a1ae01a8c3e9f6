//! What a deployment needs, printed: `dashboard`, `iam` and `lambda-event`.

use serde_json::{Value, json};

use crate::support::{Done, Emulate, done, root, run, warmd, with_aws, write};

const ROLES: &str = "version: 1
defaults: { region: eu-west-2 }
functions:
  own: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
  far:
    role_arn: arn:aws:iam::210987654321:role/warmed
    external_id: s3cret
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
";

/// `warmd iam` of [`ROLES`].
fn iam(flags: &[&str]) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "fleet.yaml", ROLES);
    run(&[&["iam", file.to_str().unwrap(), "--region", "eu-west-2"], flags].concat())
}

#[test]
fn whose_policies_they_are_is_said_where_roles_are_assumed() {
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
    assert_eq!(open.stdout.lines().last(), Some("# its trust policy: with --account"));
}

#[test]
fn the_region_is_the_profile_s_or_has_to_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let profile = write(folder.path(), "config", "[default]\nregion = eu-central-1\n");
    let needs = [&["dashboard", "--print"][..], &["iam", "--bus", "default"]];
    for args in needs {
        let lost = run(args);
        assert_eq!((lost.code, lost.stdout.as_str()), (2, ""));
        assert!(lost.stderr.contains("--region"), "{}", lost.stderr);
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

/// The template gives the function no name of its own.
#[test]
fn the_example_names_the_function_as_the_stack_does() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    assert!(!template.contains(" FunctionName: warmd") && template.contains("\n  FunctionName:\n"));
    let help = run(&["lambda-event", "--help"]).stdout;
    assert!(
        help.contains("output `FunctionName` of the stack") && !help.contains("--function-name warmd"),
        "{help}"
    );
}

#[test]
fn a_request_over_the_bus_says_where_and_carries_all_that_was_said() {
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
    // What would be refused there, or forgotten, is refused here.
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
    assert_eq!(done(command).code, 0, "an environment in which others need it");
}

/// The commands of the `Examples:` of a help text that need nothing but the examples in `warm-configs/`.
#[test]
fn the_examples_of_explain_fit_the_shipped_configuration() {
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
fn what_looks_like_s3_is_told_how_to_be_written_and_what_is_not_reached_is_exit_1() {
    for odd in ["S3://bucket/configs", "s3:/bucket/configs"] {
        let done = run(&["check", odd]);
        assert_eq!(done.code, 2);
        assert!(done.stderr.contains("s3://bucket/prefix"), "{}", done.stderr);
    }
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for command in ["check", "plan"] {
        let lost = done(with_aws(warmd(&[command, "s3://bucket/configs"]), &nobody));
        assert_eq!((lost.code, lost.stdout.as_str()), (1, ""), "{command}: {}", lost.stderr);
    }
    let nowhere = run(&["check", "s3://bucket/configs"]);
    assert_eq!(nowhere.code, 2, "a region has to be set");
    assert!(nowhere.stderr.contains("no AWS region is configured: set AWS_REGION"), "{}", nowhere.stderr);
}
