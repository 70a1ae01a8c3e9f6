"""Two servers on loopback: moto, and the shim between it and warmd's CloudWatch client.

The shim decodes RPC v2 CBOR, which moto does not speak, and calls moto through boto3, which holds the parameters
against a service model of its own. It also calls any other operation for the tests (POST /aws/SERVICE/OPERATION,
JSON), so that what warmd wrote is read by another client, and tells what both servers were asked (GET /seen).

Prints the addresses once both servers answer.
"""

import gzip
import json
import os
import re
import threading
import traceback
from datetime import datetime
from urllib.request import urlopen

# Nothing of this machine's own: neither profile nor keys nor proxy.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "NO_PROXY": "*"}

import boto3
import cbor2
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

REGION = "eu-west-2"
moto = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()
# The requests in the order in which they were answered.
seen = []
# By path: how many PUTs wait for each other there.
meetings = {}


def moto_app(environ, start_response):
    """moto, but S3's conditional writes are atomic. moto looks, and then writes."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "PUT" and (meeting := meetings.get(path)):
        meeting.wait(timeout=30)
        meetings.pop(path, None)
    with one_at_a_time:
        response = Response.from_app(moto, environ, buffered=True)
        seen.append({"method": method, "path": path, "status": response.status_code})
    return response(environ, start_response)


def call(service, operation, region, parameters):
    client = boto3.client(service, region_name=region, endpoint_url=moto_url)
    answer = getattr(client, xform_name(operation))(**parameters)
    answer.pop("ResponseMetadata")
    return answer


def refusal(error):
    """The code of an error, and its HTTP status."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "ValidationException", 400


def cloudwatch(request, operation):
    """CloudWatch in RPC v2 CBOR. https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html"""
    encoding = request.headers.get("content-encoding")
    body = request.get_data()
    try:
        scope = re.search(r"Credential=[^/]+/\d{8}/([^/]+)/monitoring/aws4_request", request.headers["authorization"])
        if request.headers.get("smithy-protocol") != "rpc-v2-cbor" or encoding not in (None, "gzip") or not scope:
            raise ValueError(f"not a request in RPC v2 CBOR: {request.headers}")
        parameters = cbor2.loads(gzip.decompress(body) if encoding else body)
        for datum in parameters.get("MetricData", []):
            # boto3 takes bare numbers too; the protocol wants tag 1, of which cbor2 makes this.
            if not isinstance(datum.get("Timestamp"), datetime):
                raise ValueError(f"not a timestamp with a tag: {datum}")
        answer, status = call("cloudwatch", operation, scope[1], parameters), 200
    except (ClientError, ParamValidationError, ValueError) as error:
        traceback.print_exc()
        code, status = refusal(error)
        answer = {"__type": f"com.amazonaws.cloudwatch#{code}", "message": str(error)}
    seen.append({"method": operation, "path": request.path, "status": status, "encoding": encoding})
    headers = {"smithy-protocol": "rpc-v2-cbor"}
    body = cbor2.dumps(answer, datetime_as_timestamp=True)
    return Response(body, status, headers, content_type="application/cbor")


@Request.application
def shim_app(request):
    match request.path.strip("/").split("/"):
        case ["service", "GraniteServiceVersion20100801", "operation", operation]:
            return cloudwatch(request, operation)
        case ["aws", service, operation]:
            try:
                answer = call(service, operation, REGION, request.get_json())
            except (ClientError, ParamValidationError) as error:
                return Response(str(error), refusal(error)[1])
            # Bodies of objects, and times.
            text = json.dumps(answer, default=lambda value: value.read().decode() if hasattr(value, "read") else str(value))
            return Response(text, content_type="application/json")
        case ["meet", count, *path]:
            meetings["/" + "/".join(path)] = threading.Barrier(int(count))
            return Response()
        case ["seen"]:
            return Response(json.dumps(seen), content_type="application/json")
    return Response(status=404)


def serve(app, **how):
    server = make_server("127.0.0.1", 0, app, threaded=True, **how)
    threading.Thread(target=server.serve_forever).start()
    return f"http://localhost:{server.server_port}"


moto_url = serve(moto_app, request_handler=MotoRequestHandler)
shim_url = serve(shim_app)
for url in (f"{moto_url}/moto-api/data.json", f"{shim_url}/seen"):
    urlopen(url).read()
print(f"WARMD_MOTO={moto_url}\nWARMD_SHIM={shim_url}", flush=True)
