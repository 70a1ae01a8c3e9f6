//! Downloads, and the routes of bytes from S3.

use super::super::reader::At;
use super::super::values::{List, RouteKind};
use super::super::wire::{DownloadKeys, FunctionKeys};
use super::{Location, Resolver};
use crate::domain::cost::{Download, Route};
use crate::domain::function::Region;

impl Resolver<'_, '_> {
    pub(super) fn downloads(&mut self, file: usize, keys: &FunctionKeys) -> Vec<Download> {
        let Some(At { value: List(downloads), .. }) = &keys.downloads else {
            return Vec::new();
        };
        downloads.iter().filter_map(|at| self.download(file, at)).collect()
    }

    fn download(&mut self, file: usize, at: &At<DownloadKeys>) -> Option<Download> {
        let DownloadKeys { object, size, route, bucket_region, per, has_errors } = &at.value;
        let route = self.route(file, route.as_ref()?, bucket_region.as_ref(), *has_errors)?;
        Some(Download {
            object: object.as_ref()?.value.0.clone(),
            size_bytes: size.as_ref()?.value.0,
            route,
            per: per.as_ref().map(|at| at.value).unwrap_or_default(),
        })
    }

    /// Returns a route with the region of its bucket. Reports a region that is missing, unless the map `has_errors`,
    /// and one that is not used.
    pub(super) fn route(
        &mut self,
        file: usize,
        At { value: kind, span }: &At<RouteKind>,
        bucket_region: Option<&At<Region>>,
        has_errors: bool,
    ) -> Option<Route> {
        Some(match (kind, bucket_region) {
            (RouteKind::InterRegion, Some(region)) => Route::InterRegion { bucket_region: region.value },
            (RouteKind::InterRegion, None) if has_errors => return None,
            (RouteKind::InterRegion, None) => {
                let message = "the route \"inter-region\" requires \"bucket_region\"";
                let hint = "add it, such as `bucket_region: eu-west-1`: it decides the price";
                return self.fail(Location { file, span: *span }, message, hint);
            }
            (_, Some(region)) => {
                let message = "\"bucket_region\" requires the route \"inter-region\"";
                let location = Location { file, span: region.span };
                return self.fail(location, message, "remove it, or change the route");
            }
            (RouteKind::SameRegion, None) => Route::SameRegion,
            (RouteKind::NatGateway, None) => Route::NatGateway,
            (RouteKind::InterfaceEndpoint, None) => Route::InterfaceEndpoint,
            (RouteKind::Internet, None) => Route::Internet,
        })
    }
}
