# How clients of step JSON call the service, command by command.

curl -X POST http://localhost:3000/workflows \
  -H "Content-Type: application/json" \
  -d '{
    "id": "order-processing",
    "name": "Order Processing Workflow",
    "description": "Process customer orders end-to-end",
    "steps": [
      {
        "id": "validate-order",
        "name": "Validate Order",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://validation-service/validate",
          "method": "POST"
        },
        "dependencies": [],
        "retryPolicy": {
          "maxAttempts": 3,
          "backoffMultiplier": 2,
          "initialDelay": 1000,
          "maxDelay": 10000
        }
      },
      {
        "id": "charge-payment",
        "name": "Charge Payment",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://payment-service/charge",
          "method": "POST"
        },
        "dependencies": ["validate-order"],
        "retryPolicy": {
          "maxAttempts": 5,
          "backoffMultiplier": 2,
          "initialDelay": 2000,
          "maxDelay": 30000
        }
      },
      {
        "id": "fulfill-order",
        "name": "Fulfill Order",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://fulfillment-service/fulfill",
          "method": "POST"
        },
        "dependencies": ["charge-payment"]
      }
    ],
    "webhooks": {
      "onComplete": "http://notifications/order-complete",
      "onFailure": "http://notifications/order-failed"
    }
  }'

curl http://localhost:3000/workflows

curl http://localhost:3000/workflows/order-processing

curl -X POST http://localhost:3000/executions/start \
  -H "Content-Type: application/json" \
  -d '{
    "workflowId": "order-processing",
    "context": {
      "orderId": "order-123",
      "customerId": "customer-456",
      "amount": 99.99
    }
  }'

curl http://localhost:3000/executions

curl "http://localhost:3000/executions?workflowId=order-processing"

curl http://localhost:3000/executions/exec-abc-123

curl http://localhost:3000/executions/exec-abc-123/visualize

curl -X POST http://localhost:3000/workflows \
  -H "Content-Type: application/json" \
  -d '{
    "id": "etl-pipeline",
    "name": "ETL Pipeline",
    "steps": [
      {
        "id": "extract",
        "name": "Extract Data",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://source-system/data",
          "method": "GET"
        },
        "dependencies": []
      },
      {
        "id": "transform-users",
        "name": "Transform Users",
        "type": "task",
        "action": "transform",
        "params": {
          "inputKey": "extract",
          "code": "return input.users.map(u => ({ id: u.id, name: u.name }))"
        },
        "dependencies": ["extract"]
      },
      {
        "id": "transform-orders",
        "name": "Transform Orders",
        "type": "task",
        "action": "transform",
        "params": {
          "inputKey": "extract",
          "code": "return input.orders.filter(o => o.status === '\''active'\'')"
        },
        "dependencies": ["extract"]
      },
      {
        "id": "load",
        "name": "Load to Database",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://target-system/load",
          "method": "POST"
        },
        "dependencies": ["transform-users", "transform-orders"]
      }
    ]
  }'

curl -X POST http://localhost:3000/executions/start \
  -H "Content-Type: application/json" \
  -d '{"workflowId":"etl-pipeline","context":{}}'

curl -X POST http://localhost:3000/workflows \
  -H "Content-Type: application/json" \
  -d '{
    "id": "order-flow",
    "name": "E-commerce Order Flow",
    "steps": [
      {
        "id": "validate",
        "name": "Validate Order",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://validation/validate",
          "method": "POST"
        },
        "dependencies": [],
        "retryPolicy": {
          "maxAttempts": 3,
          "backoffMultiplier": 2,
          "initialDelay": 1000,
          "maxDelay": 5000
        }
      },
      {
        "id": "check-inventory",
        "name": "Check Inventory",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://inventory/check",
          "method": "POST"
        },
        "dependencies": ["validate"]
      },
      {
        "id": "charge-payment",
        "name": "Charge Payment",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://payment/charge",
          "method": "POST"
        },
        "dependencies": ["check-inventory"],
        "retryPolicy": {
          "maxAttempts": 5,
          "backoffMultiplier": 2,
          "initialDelay": 2000,
          "maxDelay": 30000
        }
      },
      {
        "id": "ship-order",
        "name": "Ship Order",
        "type": "task",
        "action": "http.request",
        "params": {
          "url": "http://shipping/ship",
          "method": "POST"
        },
        "dependencies": ["charge-payment"]
      },
      {
        "id": "send-confirmation",
        "name": "Send Confirmation",
        "type": "task",
        "action": "webhook",
        "params": {
          "url": "http://notifications/email",
          "payload": {
            "type": "order-confirmation"
          }
        },
        "dependencies": ["ship-order"]
      }
    ],
    "webhooks": {
      "onComplete": "http://analytics/order-complete",
      "onFailure": "http://support/order-failed"
    }
  }'
