-- suspend and resume. Approving is no action: an Approval is an object of its own, whose author the
-- API server proves.

local suspended = obj.spec ~= nil and obj.spec.suspend == true
local deleting = obj.metadata ~= nil and obj.metadata.deletionTimestamp ~= nil

return {
  suspend = { disabled = suspended or deleting, iconClass = "fa fa-fw fa-pause" },
  resume = { disabled = not suspended or deleting, iconClass = "fa fa-fw fa-play" },
}
