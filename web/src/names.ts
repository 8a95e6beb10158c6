/** The id of a run; files, fleets and the like have other names. */
export const RUN = /^[0-9a-f]{12}$/;
