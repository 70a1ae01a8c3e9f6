//! The port for dashboards and alarms.

use super::ports::CallError;
use crate::domain::alarm::Alarm;

/// A message of CloudWatch about the body of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardFinding {
    /// The place in the body, such as `/widgets/2/properties`; empty for the whole.
    pub path: String,
    /// The message.
    pub message: String,
}

/// A dashboard that was not put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardRefused {
    /// The reason.
    pub reason: CallError,
    /// The findings, if the body is the reason.
    pub findings: Vec<DashboardFinding>,
}

/// The port for dashboards and alarms in one region. Every change can be repeated.
pub trait Observability: Send + Sync + 'static {
    /// GetDashboard: the body as text; `None` if there is no such dashboard.
    ///
    /// # Errors
    /// The call failed.
    fn dashboard(&self, name: &str) -> impl Future<Output = Result<Option<String>, CallError>> + Send;

    /// PutDashboard. Returns the findings about a body that was accepted.
    ///
    /// # Errors
    /// [`DashboardRefused`].
    fn put_dashboard(
        &self,
        name: &str,
        body: &str,
    ) -> impl Future<Output = Result<Vec<DashboardFinding>, DashboardRefused>> + Send;

    /// DeleteDashboards, of one. A dashboard that does not exist is deleted.
    ///
    /// # Errors
    /// The call failed.
    fn delete_dashboard(&self, name: &str) -> impl Future<Output = Result<(), CallError>> + Send;

    /// DescribeAlarms: metric and composite alarms whose names begin with `prefix`. Others of the answer are left out.
    ///
    /// # Errors
    /// A call failed, or the list does not end.
    fn alarms(&self, prefix: &str) -> impl Future<Output = Result<Vec<Alarm>, CallError>> + Send;

    /// PutMetricAlarm or PutCompositeAlarm.
    ///
    /// # Errors
    /// The call failed.
    fn put_alarm(&self, alarm: &Alarm) -> impl Future<Output = Result<(), CallError>> + Send;

    /// DeleteAlarms: at most 100, with at most one composite alarm. Alarms that do not exist are deleted.
    ///
    /// # Errors
    /// The call failed.
    fn delete_alarms(&self, names: &[String]) -> impl Future<Output = Result<(), CallError>> + Send;
}
