/** Goals, funnels, journeys, retention: the panels below the main ones. */
import type { Kept } from '../api/kept';
import type { Session, Site } from '../api/types';
import type { Now } from '../model/period';
import type { View } from '../model/view';
import { Boundary } from '../parts/boundary';
import type { Asked } from './asked';
import { Funnels } from './funnels';
import { Goals } from './goals';
import { Journeys } from './journeys';
import { Retention } from './retention';
import './beyond.css';

export interface BeyondProps {
  readonly site: Site;
  readonly session: Session;
  readonly view: View;
  readonly now: Now;
  /** Counts up when the numbers are to be asked anew. */
  readonly refresh: number;
  /** What the site keeps, asked once for the page. */
  readonly kept: Asked<Kept>;
  readonly onView: (view: View, how?: 'push' | 'replace') => void;
}

export function Beyond(props: BeyondProps) {
  return (
    <div class="panels beyond" data-beyond>
      <Boundary>
        <Goals {...props} />
      </Boundary>
      <Boundary>
        <Funnels {...props} />
      </Boundary>
      <Boundary>
        <Journeys key={props.site.id} {...props} />
      </Boundary>
      <Boundary>
        <Retention {...props} />
      </Boundary>
    </div>
  );
}
