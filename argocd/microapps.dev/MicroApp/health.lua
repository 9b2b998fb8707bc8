-- Health of a MicroApp as Argo CD shows it. No library but `table` is used: a check that comes from
-- argocd-cm runs without `string`, `os` and `io`.
--
--   being deleted                                     Progressing, naming the finalizers
--   no status yet, or one of an older generation      Progressing
--   Stalled=True                                      Degraded: nothing changes without a person
--   Ready=Unknown, Approved=False (pending)           Suspended: a reviewer is asked
--   Ready=True, reason Suspended or spec.suspend      Suspended
--   Ready=True                                        Healthy
--   Ready=False                                       Degraded
--   anything else                                     Progressing

local function health(status, message)
  return { status = status, message = message }
end

local meta = obj.metadata or {}
if meta.deletionTimestamp ~= nil then
  if meta.finalizers ~= nil and #meta.finalizers > 0 then
    return health("Progressing", "Pending deletion; blocked by finalizers: " .. table.concat(meta.finalizers, ", "))
  end
  return health("Progressing", "Pending deletion")
end

local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration == -1 then
  return health("Progressing", "Waiting for the operator to look at this MicroApp for the first time")
end
if status.observedGeneration ~= meta.generation then
  return health("Progressing", "Waiting for the operator to take up the latest change (generation "
    .. tostring(meta.generation) .. ", status speaks of " .. tostring(status.observedGeneration) .. ")")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function text(condition)
  if condition.message ~= nil and condition.message ~= "" then
    return condition.message
  end
  return condition.reason or condition.type
end

local stalled = conditions["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", text(stalled))
end

local ready = conditions["Ready"]
if ready == nil then
  return health("Progressing", "Waiting for the condition Ready")
end

local approved = conditions["Approved"]
local pending = approved ~= nil and approved.status == "False"
  and (approved.reason == "ApprovalPending" or approved.reason == "EgressApprovalPending")
if ready.status == "Unknown" and pending then
  return health("Suspended", "Waiting for approval: " .. text(approved))
end

if ready.status == "True" then
  if ready.observedGeneration ~= meta.generation then
    return health("Progressing", "Waiting for the condition Ready to speak of generation " .. tostring(meta.generation))
  end
  if ready.reason == "Suspended" or (obj.spec ~= nil and obj.spec.suspend == true) then
    return health("Suspended", "Suspended by spec.suspend: " .. text(ready))
  end
  return health("Healthy", text(ready))
end
if ready.status == "False" then
  return health("Degraded", text(ready))
end
return health("Progressing", text(ready))
