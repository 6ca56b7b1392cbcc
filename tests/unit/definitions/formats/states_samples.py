"""Own definitions with the features of typical public Step Functions definitions. Placeholders such
as `${OrderFunctionArn}` stand for ARNs that a deployment tool fills in.
"""

from flowmesh.contract.json_value import Json

INVOKE = "arn:aws:states:::lambda:invoke"
TRANSIENT = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 6,
    "BackoffRate": 2,
}
JITTERED = {**TRANSIENT, "IntervalSeconds": 1, "MaxDelaySeconds": 10, "JitterStrategy": "FULL"}
DONE = {"Type": "Succeed"}


def machine(start: str, **states: Json) -> Json:
    return {"StartAt": start, "States": states}


def invoke(function: str, payload: Json = None, **more: Json) -> Json:
    given = {"Payload.$": "$"} if payload is None else {"Payload": payload}
    parameters = {"FunctionName": function, **given}
    return {"Type": "Task", "Resource": INVOKE, "Parameters": parameters, **more}


def service(name: str, parameters: Json, **more: Json) -> Json:
    resource = f"arn:aws:states:::{name}"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **more}


def caught(target: str, *errors: str, path: str = "$.error") -> Json:
    return {"ErrorEquals": list(errors or ("States.ALL",)), "ResultPath": path, "Next": target}


SAMPLES: dict[str, Json] = {
    "functions in a row": machine(
        "Check Stock",
        **{
            "Check Stock": invoke("${CheckStockArn}", OutputPath="$.Payload", Retry=[TRANSIENT],
                                  Next="Charge"),
            "Charge": invoke("${ChargeFunction.Arn}", OutputPath="$.Payload", Retry=[JITTERED],
                             End=True),
        },
    ),
    "functions by their ARN": machine(
        "Make",
        Make={"Type": "Task", "Resource": "${MakeFunctionArn}", "Next": "Ship"},
        Ship={"Type": "Task", "End": True, "TimeoutSeconds": 30, "HeartbeatSeconds": 10,
              "Resource": "arn:aws:lambda:us-east-1:123456789012:function:ship:$LATEST"},
    ),
    "a saga": machine(
        "Book Hotel",
        **{
            "Book Hotel": invoke("${BookHotel}", ResultPath="$.hotel", Retry=[TRANSIENT],
                                 Catch=[caught("Cancel Hotel")], Next="Book Flight"),
            "Book Flight": invoke("${BookFlight}", ResultPath="$.flight", Retry=[TRANSIENT],
                                  Catch=[caught("Cancel Flight")], Next="Booked"),
            "Booked": DONE,
            "Cancel Flight": invoke("${CancelFlight}", ResultPath="$.undone", Next="Cancel Hotel",
                                    Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 3}]),
            "Cancel Hotel": invoke("${CancelHotel}", ResultPath="$.undone", Next="Tell"),
            "Tell": service("sns:publish", {"TopicArn": "${Topic}", "Message": "not booked"},
                            Next="Not Booked"),
            "Not Booked": {"Type": "Fail", "Error": "Booking Failed"},
        },
    ),
    "a branch by an event": machine(
        "Which",
        Which={"Type": "Choice", "Default": "Other", "Choices": [
            {"Variable": "$.detail-type", "StringEquals": "order-placed", "Next": "Place"},
            {"And": [{"Variable": "$.detail.case-id", "IsPresent": True},
                     {"Variable": "$.detail.case-id", "NumericGreaterThan": 0}],
             "Next": "Case"}]},
        Place=invoke("place", {"order.$": "$.detail.order-id"}, End=True),
        Case={"Type": "Pass", "Parameters": {"id.$": "$.detail.case-id"}, "End": True},
        Other={"Type": "Fail", "ErrorPath": "$.detail-type", "Cause": "an unknown event"},
    ),
    "a poll": machine(
        "Submit",
        Submit=invoke("${SubmitJob}", ResultPath="$.job", ResultSelector={"id.$": "$.Payload.id"},
                      Next="Wait"),
        Wait={"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Ask"},
        Ask=invoke("${JobStatus}", {"id.$": "$.job.id"}, ResultPath="$.status", Next="Done?",
                   ResultSelector={"is.$": "$.Payload"}),
        **{"Done?": {"Type": "Choice", "Default": "Wait", "Choices": [
            {"Variable": "$.status.is", "StringEquals": "SUCCEEDED", "Next": "Good"},
            {"Or": [{"Variable": "$.status.is", "StringEquals": "FAILED"},
                    {"Variable": "$.status.is", "StringMatches": "*CANCEL*"}], "Next": "Bad"}]}},
        Good=DONE,
        Bad={"Type": "Fail", "Cause": "the job failed", "Error": "JobFailed"},
    ),
    "a map with an iterator": machine(
        "Each",
        Each={"Type": "Map", "ItemsPath": "$.Payload.items", "MaxConcurrency": 5, "End": True,
              "InputPath": "$", "ResultPath": "$.done",
              "Parameters": {"item.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index",
                             "run.$": "$$.Execution.Name"},
              "Iterator": machine("One", One=invoke("${Handle}", Retry=[TRANSIENT], End=True)),
              "Catch": [caught("Failed")]},
        Failed={"Type": "Fail", "Error": "ItemFailed", "CausePath": "$.error.Cause"},
    ),
    "a map with a processor": machine(
        "Each",
        Each={"Type": "Map", "ItemsPath": "$.detail.my-items", "End": True, "MaxConcurrency": 0,
              "ItemSelector": {"item.$": "$$.Map.Item.Value", "run.$": "$$.Execution.StartTime"},
              "ItemProcessor": {
                  "ProcessorConfig": {"Mode": "INLINE"},
                  **machine("Ask", Ask={"Type": "Choice", "Default": "Skip", "Choices": [
                      {"Variable": "$.item.big", "BooleanEquals": True, "Next": "Resize"}]},
                      Resize=invoke("${Resize}", OutputPath="$.Payload", End=True),
                      Skip={"Type": "Pass", "Result": {"skipped": True}, "End": True})}},
    ),
    "branches that are merged": machine(
        "Both",
        Both={"Type": "Parallel", "Next": "Merge", "ResultSelector": {
            "price.$": "$[0].Payload.price", "stock.$": "$[1].Payload.stock"},
            "Branches": [machine("Price", Price=invoke("${Price}", End=True)),
                         machine("Stock", Stock=invoke("${Stock}", End=True))],
            "Retry": [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 2}],
            "Catch": [caught("Give up", "States.ALL")]},
        Merge={"Type": "Pass", "End": True, "Parameters": {
            "id.$": "States.UUID()", "text.$": "States.Format('{} of {}', $.stock, $.price)"}},
        **{"Give up": {"Type": "Fail", "Error": "NoOffer"}},
    ),
    "rows of a table": machine(
        "Get",
        Get=service("dynamodb:getItem", {"TableName": "${Table}", "Key": {"id": {"S.$": "$.id"}}},
                    ResultPath="$.row", Next="There?"),
        **{"There?": {"Type": "Choice", "Default": "Put", "Choices": [
            {"Variable": "$.row.Item", "IsPresent": True, "Next": "Update"}]}},
        Put=service("dynamodb:putItem", {"TableName": "${Table}", "Item": {
            "id": {"S.$": "$.id"}, "at": {"S.$": "$$.State.EnteredTime"}},
            "ConditionExpression": "attribute_not_exists(id)"}, ResultPath=None, End=True,
            Catch=[caught("Update", "DynamoDB.ConditionalCheckFailedException")]),
        Update=service("dynamodb:updateItem", {"TableName": "${Table}", "Key": {
            "id": {"S.$": "$.id"}}, "UpdateExpression": "SET n = n + :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}}}, ResultPath="$.done", End=True),
    ),
    "a queue and a topic": machine(
        "Send",
        Send=service("sqs:sendMessage", {"QueueUrl": "${Queue}", "MessageBody": {
            "order.$": "$", "run.$": "$$.Execution.Id"}}, Next="Tell"),
        Tell=service("sns:publish", {"TopicArn": "${Topic}", "Message.$": "$.MessageId"}, End=True),
    ),
    "events": machine(
        "Put",
        Put=service("events:putEvents", {"Entries": [
            {"Detail": {"id.$": "$.id", "at.$": "$$.State.EnteredTime"},
             "DetailType": "OrderPlaced", "EventBusName": "${Bus}", "Source": "shop.orders"}]},
            ResultPath="$.event", Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}],
            End=True),
    ),
    "another machine": machine(
        "Child",
        Child=service("states:startExecution.sync:2", {
            "StateMachineArn": "${ChildStateMachine}", "Input": {
                "order.$": "$.order", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$":
                "$$.Execution.Id"}}, OutputPath="$.Output", Next="Other"),
        Other=service("states:startExecution", {
            "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:audit",
            "Name.$": "$$.Execution.Name", "Input.$": "$"}, End=True),
    ),
    "a person who decides": machine(
        "Ask",
        Ask=service("lambda:invoke.waitForTaskToken", {"FunctionName": "${Ask}", "Payload": {
            "token.$": "$$.Task.Token", "order.$": "$"}}, TimeoutSeconds=86400,
            ResultPath="$.decision", Catch=[caught("Too late", "States.Timeout")], Next="Good?"),
        **{"Good?": {"Type": "Choice", "Default": "Rejected", "Choices": [
            {"Variable": "$.decision.approved", "BooleanEquals": True, "Next": "Approved"}]},
           "Too late": {"Type": "Fail", "Error": "TooLate"}},
        Approved=DONE,
        Rejected={"Type": "Fail", "Error": "Rejected"},
    ),
    "a message with a token": machine(
        "Ask",
        Ask=service("sqs:sendMessage.waitForTaskToken", {"QueueUrl": "${Queue}", "MessageBody": {
            "token.$": "$$.Task.Token", "input.$": "$"}}, TimeoutSeconds=600, End=True),
    ),
    "an activity": machine(
        "Pick",
        Pick={"Type": "Task", "Resource": "arn:aws:states:us-east-1:123456789012:activity:pick",
              "TimeoutSeconds": 300, "HeartbeatSeconds": 60, "End": True},
    ),
    "functions of the language": machine(
        "Make",
        Make={"Type": "Pass", "Next": "Pick", "Parameters": {
            "parts.$": "States.ArrayPartition($.all, 10)", "count.$": "States.ArrayLength($.all)",
            "hash.$": "States.Hash(States.JsonToString($), 'SHA-256')",
            "both.$": "States.JsonMerge($.one, $.other, false)",
            "draw.$": "States.MathRandom(0, 10, $.seed)"}},
        Pick={"Type": "Pass", "End": True, "Parameters": {
            "first.$": "States.ArrayGetItem($.parts, 0)", "sum.$": "States.MathAdd($.count, 1)",
            "words.$": "States.StringSplit('a,b', ',')",
            "range.$": "States.ArrayRange(0, $.count, 1)",
            "plain.$": "States.Base64Decode(States.Base64Encode('x'))"}},
    ),
    "a filter": machine(
        "Pick",
        Pick={"Type": "Pass", "End": True, "Parameters": {
            "open.$": "$.orders[?(@.state == 'open')]", "last.$": "$.orders[-1:]",
            "named.$": "$.tags[?(@.Key==Name)].Value", "ids.$": "$..order-id"}},
    ),
    "a race with a timer": machine(
        "Race",
        Race={"Type": "Parallel", "Branches": [
            machine("Work", Work=invoke("${Work}", Next="Won"),
                    Won={"Type": "Fail", "Error": "Won"}),
            machine("Sleep", Sleep={"Type": "Wait", "Seconds": 60, "Next": "Late"},
                    Late={"Type": "Fail", "Error": "Late"})],
            "Catch": [caught("Good", "Won"), caught("Bad", "Late")], "End": True},
        Good=DONE,
        Bad={"Type": "Fail", "Error": "Late", "Cause": "it took too long"},
    ),
    "a job of a service": machine(
        "Run",
        Run=service("glue:startJobRun.sync", {"JobName": "${Job}", "Arguments": {
            "--day.$": "$.1stDay"}}, TimeoutSeconds=3600, Next="Query"),
        Query=service("athena:startQueryExecution.sync", {"QueryString": "SELECT 1"}, Next="List"),
        List=service("aws-sdk:s3:listObjectsV2", {"Bucket": "${Bucket}", "MaxKeys": 10},
                     ResultPath="$.listed", End=True),
    ),
    "a batch that is distributed": machine(
        "Each",
        Each={"Type": "Map", "ItemsPath": "$.items", "Label": "Each", "MaxConcurrency": 100,
              "ToleratedFailurePercentage": 5, "End": True, "ItemProcessor": {
                  "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                  **machine("One", One=invoke("${Handle}", OutputPath="$.Payload", End=True))}},
    ),
    "objects of a bucket": machine(
        "Each",
        Each={"Type": "Map", "Label": "Each", "MaxConcurrency": 100, "End": True,
              "ItemReader": {"Resource": "arn:aws:states:::s3:listObjectsV2",
                             "Parameters": {"Bucket": "${Bucket}"}},
              "ItemProcessor": {
                  "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                  **machine("One", One=invoke("${Handle}", End=True))}},
    ),
    "a request with a connection": machine(
        "Call",
        Call=service("http:invoke", {
            "ApiEndpoint": "https://api.example.com/orders", "Method": "GET",
            "Authentication": {"ConnectionArn": "${Connection}"}}, End=True),
    ),
    "variables": machine(
        "Set",
        Set={"Type": "Pass", "Assign": {"order.$": "$.order", "tries": 0}, "Next": "Call"},
        Call=invoke("${Call}", {"order.$": "$order.id"}, Assign={"answer.$": "$.Payload"},
                    End=True),
    ),
    "JSONata: functions": {
        "QueryLanguage": "JSONata",
        **machine(
            "First",
            First={"Type": "Task", "Resource": INVOKE, "Next": "Last", "Arguments": {
                "FunctionName": "${First}", "Payload": "{% $states.input %}"},
                "Output": "{% $states.result.Payload %}", "Retry": [JITTERED],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Last", "Output": {
                    "failed": "{% $states.context.State.Name %}"}}]},
            Last={"Type": "Pass", "End": True, "Output": {
                "total": "{% $sum($states.input.items.price) %}"}},
        ),
    },
    "JSONata: choices and variables": {
        "QueryLanguage": "JSONata",
        **machine(
            "Start",
            Start={"Type": "Pass", "Assign": {"tries": 0}, "Next": "Again?"},
            **{"Again?": {"Type": "Choice", "Default": "End", "Choices": [
                {"Condition": "{% $tries < 3 %}", "Next": "Wait",
                 "Assign": {"tries": "{% $tries + 1 %}"}}]}},
            Wait={"Type": "Wait", "Seconds": "{% $tries %}", "Next": "Again?"},
            End={"Type": "Succeed", "Output": "{% $tries %}"},
        ),
    },
    "JSONata: a map": {
        "QueryLanguage": "JSONata",
        **machine(
            "Each",
            Each={"Type": "Map", "Items": "{% $states.input.orders[open] %}", "End": True,
                  "ItemSelector": {"id": "{% $states.context.Map.Item.Value.id %}"},
                  "ItemProcessor": machine("One", One={"Type": "Pass", "End": True, "Output": {
                      "was": "{% $states.input.id %}"}}),
                  "Output": "{% $count($states.result) %}"},
        ),
    },
    "JSONata: branches": {
        "QueryLanguage": "JSONata",
        **machine(
            "Both",
            Both={"Type": "Parallel", "Arguments": "{% $merge([$states.input, {'x': 1}]) %}",
                  "Branches": [machine("A", A={"Type": "Pass", "End": True}),
                               machine("B", B={"Type": "Pass", "Output": "b", "End": True})],
                  "Output": "{% $states.result[0] %}", "End": True},
        ),
    },
    "JSONata in one state": machine(
        "Old",
        Old={"Type": "Pass", "Parameters": {"n.$": "$.n"}, "Next": "New"},
        New={"Type": "Pass", "QueryLanguage": "JSONata", "End": True,
             "Output": {"n": "{% $states.input.n * 2 %}"}},
    ),
}  # fmt: skip
