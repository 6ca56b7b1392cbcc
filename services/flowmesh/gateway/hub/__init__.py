"""The SignalR hub: lifecycle events for clients of the JSON hub protocol over WebSockets."""
