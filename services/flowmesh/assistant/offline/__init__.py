"""The provider without a model: rules that turn English sentences into a workflow."""
