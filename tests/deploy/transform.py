"""Prints a SAM template as the SAM transform hands it to CloudFormation."""

import json
import os
import sys

# The transform only wants to know a region; nothing is called.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-2")

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())

for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        # `sam deploy` uploads the package and puts its address here.
        resource["Properties"]["CodeUri"] = "s3://bucket/package.zip"

parameters = {name: of["Default"] for name, of in template["Parameters"].items() if "Default" in of}
print(json.dumps(Translator({}, Parser()).translate(template, parameters), indent=2))
