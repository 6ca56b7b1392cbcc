package flowmesh_test

import (
	"reflect"
	"slices"
	"testing"

	"flowmesh.dev/sdk"
)

// Each option compiles with the calls that send it, and with no other.
func TestOptionsCompileWhereTheyAreSent(t *testing.T) {
	options := map[string]any{
		"After": flowmesh.After, "OfTypes": flowmesh.OfTypes, "OfWorkflow": flowmesh.OfWorkflow,
		"FromCursor": flowmesh.FromCursor, "Reason": flowmesh.Reason, "ChangeID": flowmesh.ChangeID,
		"Compensate": flowmesh.Compensate, "RequestID": flowmesh.RequestID,
	}
	calls := map[string]struct {
		function any
		accepted []string
	}{
		"Handle.Events":    {(*flowmesh.Handle).Events, []string{"After", "OfTypes"}},
		"Client.Events":    {(*flowmesh.Client).Events, []string{"FromCursor", "OfTypes", "OfWorkflow"}},
		"Handle.Signal":    {(*flowmesh.Handle).Signal, []string{"ChangeID"}},
		"Handle.Pause":     {(*flowmesh.Handle).Pause, []string{"ChangeID", "Reason"}},
		"Handle.Resume":    {(*flowmesh.Handle).Resume, []string{"ChangeID", "Reason"}},
		"Handle.Cancel":    {(*flowmesh.Handle).Cancel, []string{"ChangeID", "Compensate", "Reason"}},
		"Handle.Terminate": {(*flowmesh.Handle).Terminate, []string{"ChangeID", "Compensate", "Reason"}},
		"Client.Start":     {(*flowmesh.Client).Start, []string{"RequestID"}},
		"Run":              {flowmesh.Run[any], []string{"RequestID"}},
		"Session.Start":    {(*flowmesh.Session).Start, []string{"RequestID"}},
	}
	for name, call := range calls {
		function := reflect.TypeOf(call.function)
		parameter := function.In(function.NumIn() - 1).Elem()
		var found []string
		for option, create := range options {
			if reflect.TypeOf(create).Out(0).AssignableTo(parameter) {
				found = append(found, option)
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, call.accepted) {
			t.Errorf("%s accepts %v, not %v", name, found, call.accepted)
		}
	}
}
